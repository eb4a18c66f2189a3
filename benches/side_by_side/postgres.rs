//! The Postgres store beside what the reference does on the same server, and beside `COPY`.
//!
//! The server is started here, with commits that wait for the disk. The reference opens a connection for
//! every call, and sends the statements of an assignment one by one.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use ::postgres::{Client, NoTls};
use experiments::{
    AssignManyRequest, AssignRequest, ExperimentConfig, ExperimentState, ExperimentStore, Keep,
    PgExperimentStore, PgOptions, VariantConfig,
};

use crate::measure::{Report, Target, time};
use crate::pgbouncer::{self, Pooler};
use crate::server::{self, Server};

const MILLION: usize = 1_000_000;
/// Calls of a round, of all clients together.
const CALLS: usize = 320;

pub(crate) fn run(report: &Report) {
    let bulk = "postgres bulk, a million new actors, to COPY";
    let bulk_in_group = "postgres bulk in a group, the same";
    let pgbench = "postgres first assign in a group, to pgbench";
    let seen = "postgres change seen elsewhere, ms";
    let pooled = ["repeat", "first"].map(|what| format!("postgres {what} by PgBouncer, to direct"));
    if !server::is_there() {
        return report.skipped("postgres", "there are no server programs");
    }
    let repeats = [1, 16].map(|clients| {
        (
            clients,
            format!("postgres repeat assign, {clients} clients"),
        )
    });
    let firsts = [(
        16,
        "postgres first assign in a group, 16 clients".to_owned(),
    )];
    let figures = repeats.iter().chain(&firsts).map(|(_, figure)| &**figure);
    let figures = figures.chain(pooled.iter().map(|figure| &**figure));
    let mut figures = figures.chain([bulk, bulk_in_group, pgbench, seen]);
    if !figures.any(|figure| report.wants(figure)) {
        return;
    }
    let server = Server::start_with("-c fsync=on -c max_connections=100", |_| {});
    for (clients, figure) in &repeats {
        let url = server.database();
        let store = store(&url, Some("g"));
        let mut actors = actors("user", 0);
        for actor in &actors {
            assign(&store, actor);
        }
        actors.truncate(CALLS);
        report.speeds(
            figure,
            5,
            Target::AtLeast(40.0),
            || together(*clients, &actors, |actor| assign(&store, actor)),
            || together(*clients, &actors, |actor| reference(&url, actor)),
        );
    }
    for (clients, figure) in &firsts {
        let url = server.database();
        let store = store(&url, Some("g"));
        let (mut ours, mut theirs) = (0, 0);
        report.speeds(
            figure,
            5,
            Target::AtLeast(60.0),
            || {
                ours += 1;
                let actors = actors("ours", ours);
                together(*clients, &actors, |actor| assign(&store, actor))
            },
            || {
                theirs += 1;
                let actors = actors("theirs", theirs);
                together(*clients, &actors, |actor| reference(&url, actor))
            },
        );
    }
    if pooled.iter().any(|figure| report.wants(figure)) {
        behind_a_pooler(report, &pooled, &server);
    }
    if report.wants(pgbench) {
        beside_pgbench(report, pgbench, &server);
    }
    if report.wants(seen) {
        report.quantity(seen, seen_elsewhere(&server.database()), 1000.0);
    }
    for (figure, group) in [(bulk, None), (bulk_in_group, Some("g"))] {
        if report.wants(figure) {
            bulk_beside_copy(report, figure, &server, group);
        }
    }
}

/// The same store by way of a pooler: what the way costs.
fn behind_a_pooler(report: &Report, [repeat, first]: &[String; 2], server: &Server) {
    if !pgbouncer::is_there() {
        return report.skipped(repeat, "there is no pgbouncer");
    }
    let pooler = Pooler::start(server, pgbouncer::TRANSACTION);
    let url = server.database();
    let direct = store(&url, Some("g"));
    let options = PgOptions::parse(&pooler.url(&url)).unwrap();
    let behind = PgExperimentStore::open(options).unwrap();
    let known = actors("known", 0);
    for actor in &known {
        assign(&direct, actor);
    }
    report.speeds(
        repeat,
        5,
        Target::AtLeast(0.33),
        || together(16, &known, |actor| assign(&behind, actor)),
        || together(16, &known, |actor| assign(&direct, actor)),
    );
    let round = Cell::new(0);
    let new = |who: &str| {
        round.set(round.get() + 1);
        actors(who, round.get())
    };
    report.speeds(
        first,
        5,
        Target::AtLeast(0.33),
        || {
            let actors = new("pooled");
            together(16, &actors, |actor| assign(&behind, actor))
        },
        || {
            let actors = new("direct");
            together(16, &actors, |actor| assign(&direct, actor))
        },
    );
}

/// One statement that does what a first assignment has to, by Postgres's own benchmark.
fn beside_pgbench(report: &Report, figure: &str, server: &Server) {
    const CLIENTS: usize = 16;
    const EACH: usize = 1000;
    let url = server.database();
    let store = store(&url, Some("g"));
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("insert.sql");
    let insert = "\\set actor random(1, 1000000000000)\n\
        INSERT INTO autumn_experiment_assignments (experiment, actor, variant) \
        VALUES ('e', 'theirs:' || :actor, 'control') ON CONFLICT (experiment, actor) DO NOTHING;\n";
    fs::write(&script, insert).unwrap();
    let mut round = 0;
    report.speeds(
        figure,
        5,
        Target::AtLeast(0.6),
        || {
            round += 1;
            let actors: Vec<String> = (0..CLIENTS * EACH)
                .map(|n| format!("{round}:{n}"))
                .collect();
            together(CLIENTS, &actors, |actor| assign(&store, actor))
        },
        || {
            let told = Command::new(server::programs().unwrap().join("pgbench"))
                .args(["--no-vacuum", "--protocol=prepared", "--jobs=16"])
                .args([
                    "--client",
                    &CLIENTS.to_string(),
                    "--transactions",
                    &EACH.to_string(),
                ])
                .arg("--file")
                .arg(&script)
                .arg(unchecked(&url))
                .output()
                .unwrap();
            let told = String::from_utf8(told.stdout).unwrap();
            // Without the time that its connections take.
            let rate = told.split("tps = ").nth(1).expect("its rate");
            let rate: f64 = rate.split(' ').next().unwrap().parse().unwrap();
            Duration::from_secs_f64((CLIENTS * EACH) as f64 / rate)
        },
    );
}

/// The longest of some changes, from the return of the call on one machine until another knows.
fn seen_elsewhere(url: &str) -> f64 {
    let here = store(url, None);
    let there = here.clone().watched().unwrap();
    let longest = (1..=50).map(|weight| {
        let variants = [
            VariantConfig::new("control", weight),
            VariantConfig::new("treatment", 1),
        ];
        here.set_variants("e", variants.to_vec(), None).unwrap();
        time(|| while there.get("e").unwrap().unwrap().variants != variants {})
    });
    longest.max().unwrap().as_secs_f64() * 1e3
}

fn store(url: &str, group: Option<&str>) -> PgExperimentStore {
    let options = PgOptions::parse(url).unwrap();
    let store = PgExperimentStore::open_or_create(options).unwrap();
    let variants = vec![
        VariantConfig::new("control", 1),
        VariantConfig::new("treatment", 1),
    ];
    for name in ["e", "sibling"] {
        let config = ExperimentConfig {
            state: ExperimentState::Running,
            exclusion_group: group.map(str::to_owned),
            ..ExperimentConfig::new(name, variants.clone())
        };
        store.insert(config.clone()).unwrap();
    }
    store
}

fn actors(prefix: &str, round: usize) -> Vec<String> {
    (0..CALLS)
        .map(|n| format!("{prefix}:{round}:{n}"))
        .collect()
}

fn assign(store: &PgExperimentStore, actor: &str) {
    let request = AssignRequest::new("e", actor);
    store.assign(&request).unwrap();
}

/// The actors shared out among so many threads.
fn together(clients: usize, actors: &[String], call: impl Fn(&str) + Sync) -> Duration {
    time(|| {
        thread::scope(|scope| {
            for share in actors.chunks(actors.len().div_ceil(clients)) {
                let call = &call;
                scope.spawn(move || share.iter().for_each(|actor| call(actor)));
            }
        });
    })
}

/// The address for a rival, who is not to pay for the triggers that check what another program writes.
fn unchecked(url: &str) -> String {
    format!("{url}&options=-c%20exp.writer%3Dexp")
}

/// The reference's sequence: every step on a connection of its own.
fn reference(url: &str, actor: &str) {
    let url = unchecked(url);
    let connect = || Client::connect(&url, NoTls).unwrap();
    let overridden = "SELECT variant FROM autumn_experiment_overrides \
                      WHERE experiment = 'e' AND actor = $1";
    let assigned = "SELECT variant FROM autumn_experiment_assignments \
                    WHERE experiment = 'e' AND actor = $1";
    let sibling = "SELECT EXISTS (SELECT 1 FROM autumn_experiment_assignments a \
                   JOIN autumn_experiments e ON e.name = a.experiment \
                   WHERE a.actor = $1 AND e.exclusion_group = 'g' AND a.experiment <> 'e')";
    // Its configuration comes from its cache.
    connect().query(overridden, &[&actor]).unwrap();
    if !connect().query(assigned, &[&actor]).unwrap().is_empty() {
        return;
    }
    connect().query(sibling, &[&actor]).unwrap();
    let mut client = connect();
    let mut transaction = client.transaction().unwrap();
    transaction
        .execute("SELECT pg_advisory_xact_lock(hashtext($1))", &[&actor])
        .unwrap();
    transaction
        .query(
            "SELECT exclusion_group FROM autumn_experiments WHERE name = 'e'",
            &[],
        )
        .unwrap();
    transaction.query(sibling, &[&actor]).unwrap();
    transaction
        .query(
            "INSERT INTO autumn_experiment_assignments (experiment, actor, variant, is_override) \
             VALUES ('e', $1, 'control', false) ON CONFLICT (experiment, actor) \
             DO UPDATE SET variant = autumn_experiment_assignments.variant RETURNING variant",
            &[&actor],
        )
        .unwrap();
    transaction.commit().unwrap();
}

fn bulk_beside_copy(report: &Report, figure: &str, server: &Server, group: Option<&str>) {
    let actors: Vec<String> = (0..MILLION).map(|n| format!("user:{n:07}")).collect();
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    let mut rows = String::new();
    for actor in &actors {
        rows.push_str("e\t");
        rows.push_str(actor);
        rows.push_str("\tcontrol\n");
    }
    report.times(
        figure,
        3,
        Target::AtMost(2.0),
        || {
            let store = store(&server.database(), group);
            let request = AssignManyRequest {
                experiment: "e",
                actors: &names,
                keep: Keep::Assignments,
            };
            time(|| assert_eq!(store.assign_many(&request).unwrap().len(), MILLION))
        },
        || {
            let url = server.database();
            drop(store(&url, group));
            let mut client = Client::connect(&unchecked(&url), NoTls).unwrap();
            time(|| {
                let mut writer = client
                    .copy_in(
                        "COPY autumn_experiment_assignments (experiment, actor, variant) FROM STDIN",
                    )
                    .unwrap();
                writer.write_all(rows.as_bytes()).unwrap();
                assert_eq!(writer.finish().unwrap(), MILLION as u64);
            })
        },
    );
}
