#!/bin/sh
# Assigns every customer to the newsletter test. In the crontab: 15 2 * * * /srv/newsletter/nightly.sh
# What goes wrong is printed, so cron mails it; the list of the night before stays then.
set -eu
cd "$(dirname "$0")"
export EXP_STORE="$PWD/experiments.db" EXP_BY=cron
exp assign newsletter --actors customers.txt --quiet > assigned.new
mv assigned.new assigned.tsv
