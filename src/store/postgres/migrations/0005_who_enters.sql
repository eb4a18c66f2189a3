-- Who enters, and second thoughts. To the application a paused experiment is a draft, which assigns nobody.
-- `variant_values` is a JSON object, as text, so that it comes back as it was written. Of an override that has
-- expired `exp` takes no notice; the application does.

ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS paused boolean NOT NULL DEFAULT false;
ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS enrolling boolean NOT NULL DEFAULT true;
ALTER TABLE autumn_experiments ADD COLUMN IF NOT EXISTS variant_values text;

ALTER TABLE autumn_experiment_overrides ADD COLUMN IF NOT EXISTS expires_at timestamptz;
ALTER TABLE autumn_experiment_overrides ADD COLUMN IF NOT EXISTS reason text;
ALTER TABLE autumn_experiment_overrides ADD COLUMN IF NOT EXISTS operator text;
