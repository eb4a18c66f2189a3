//! What happened in the made-up test: who came, what they were shown, what they bought, and what was changed
//! meanwhile. The same every time, but for the day on which it ends: today.

use experiments::metric::{Better, Cap, MetricKind, MetricRole};
use experiments::{
    AnalysisConfig, AssignManyRequest, Clock, Coverage, ExperimentConfig, ExperimentError,
    ExperimentService, Finite, Keep, MetricConfig, NoOpExposureSink, Outcome,
    SqliteExperimentStore, VariantConfig,
};

/// The experiment.
pub(super) const NAME: &str = "checkout_v2";
/// One of its visitors.
pub(super) const VISITOR: &str = "visitor:1";
/// How many there are.
pub(super) const VISITORS: u64 = 12_000;
/// How long it has run.
pub(super) const DAYS: u64 = 14;

/// The day on which its weights changed.
const CHANGE_DAY: u64 = 3;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Visitors come in so many groups a day.
const GROUPS_A_DAY: u64 = 8;
/// Of a hundred visitors who buy, by variant.
const BUYERS: [(&str, u64); 2] = [("control", 10), ("treatment", 14)];

/// Tells the story to an empty store: it ends at `now`, in seconds since the Unix epoch.
pub(super) fn tell(store: &SqliteExperimentStore, now: u64) -> Result<(), ExperimentError> {
    let started = now.saturating_sub(DAYS * DAY);
    let at = |secs: u64, operator: &str| {
        let handle = store.clone().with_clock(Clock::Fixed(secs));
        ExperimentService::new(handle.with_operator(operator)).with_exposure_sink(NoOpExposureSink)
    };
    declare(&at(started.saturating_sub(DAY), "ann"))?;
    at(started, "ann").start(NAME)?;

    let groups = DAYS * GROUPS_A_DAY;
    let mut outcomes = Vec::new();
    for group in 0..groups {
        let secs = started + group * DAY / GROUPS_A_DAY;
        if group == CHANGE_DAY * GROUPS_A_DAY {
            at(secs, "ann").set_weights(NAME, weights(50, 50), None)?;
        }
        let visitors = group * VISITORS / groups + 1..(group + 1) * VISITORS / groups + 1;
        let actors: Vec<String> = visitors.map(|n| format!("visitor:{n}")).collect();
        show(&at(secs, "website"), &actors, secs, &mut outcomes)?;
    }
    outcomes.retain(|outcome| outcome.timestamp_secs <= now);
    outcomes.sort_by_key(|outcome| outcome.timestamp_secs);
    at(now, "website").track(&outcomes)?;

    let qa = now.saturating_sub(2 * DAY);
    let ben = at(qa, "ben");
    ben.set_override(NAME, "qa:ben", "treatment")?;
    at(now.saturating_sub(DAY), "ann").start("checkout_hint")?;
    Ok(())
}

fn weights(control: u32, treatment: u32) -> Vec<VariantConfig> {
    vec![
        VariantConfig::new("control", control),
        VariantConfig::new("treatment", treatment),
    ]
}

fn declare(service: &ExperimentService) -> Result<(), ExperimentError> {
    let window = "3d".parse().ok();
    let number = |number| Finite::new(number);
    let metrics = vec![
        MetricConfig {
            window,
            minimum_effect: number(0.05),
            ..MetricConfig::new("purchase", MetricKind::Conversion)
        },
        MetricConfig {
            window,
            cap: "99.9%".parse::<Cap>().ok(),
            ..MetricConfig::new("revenue", MetricKind::Mean)
        },
        MetricConfig {
            window,
            role: Some(MetricRole::Guardrail),
            better: Some(Better::Down),
            minimum_effect: number(0.5),
            ..MetricConfig::new("complaint", MetricKind::Conversion)
        },
    ];
    let analysis = AnalysisConfig {
        metrics,
        ..AnalysisConfig::default()
    };
    service.create(
        ExperimentConfig::new(NAME, weights(90, 10))
            .description("One-page checkout")
            .exclusion_group("checkout")
            .analysis(analysis),
    )?;
    let hint = vec![
        VariantConfig::new("plain", 1),
        VariantConfig::new("hint", 1),
    ];
    service.create(
        ExperimentConfig::new("checkout_hint", hint)
            .description("A hint beside the address")
            .exclusion_group("checkout")
            .coverage(Coverage::of_10000(2000).unwrap_or_default()),
    )?;
    Ok(())
}

/// Shows some visitors their variant, and adds what they do in the two days after it.
fn show(
    service: &ExperimentService,
    actors: &[String],
    secs: u64,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), ExperimentError> {
    let names: Vec<&str> = actors.iter().map(String::as_str).collect();
    let answers = service.assign_many(&AssignManyRequest {
        experiment: NAME,
        actors: &names,
        keep: Keep::AssignmentsAndExposures,
    })?;
    for (actor, verdict) in actors.iter().zip(answers.iter()) {
        let variant = verdict.variant.unwrap_or_default();
        let mut dice = Dice::of(actor);
        let mut does = |metric: &str, value: f64, dice: &mut Dice| {
            outcomes.push(Outcome {
                actor: actor.clone(),
                metric: metric.to_owned(),
                value: Finite::new(value).unwrap_or_default(),
                timestamp_secs: secs + 60 + dice.below(2 * DAY),
                id: None,
            });
        };
        let buyers = BUYERS.iter().find(|(name, _)| *name == variant);
        if buyers.is_some_and(|(_, of_100)| dice.below(100) < *of_100) {
            does("purchase", 1.0, &mut dice);
            does("revenue", price(&mut dice), &mut dice);
        }
        if dice.below(20) < 1 {
            does("complaint", 1.0, &mut dice);
        }
    }
    Ok(())
}

/// Mostly small, now and then large.
#[expect(clippy::cast_precision_loss, reason = "a few thousand cents")]
fn price(dice: &mut Dice) -> f64 {
    let cents = 500 + dice.below(2500) + dice.below(2500);
    let times = if dice.below(20) == 0 { 5 } else { 1 };
    (cents * times) as f64 / 100.0
}

/// Numbers that look like chance, and are the same for an actor every time: `SplitMix64` (Steele, Lea and Flood,
/// 2014).
struct Dice(u64);

impl Dice {
    fn of(actor: &str) -> Self {
        Self(
            actor
                .bytes()
                .fold(0, |seed, byte| Self(seed ^ u64::from(byte)).next()),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
