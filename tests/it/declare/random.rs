//! Random files and experiments: every file is answered, what is exported goes round, and a plan comes to what is
//! declared.

use experiments::declare::{self, Plan, SourceFile};
use experiments::independence::IdSample;
use experiments::metric::{Better, Cap, MetricKind, MetricRole, Population, Window};
use experiments::{
    AnalysisConfig, Bucketing, Coverage, ExperimentConfig, ExperimentService, ExperimentState,
    ExperimentStore as _, Finite, InMemoryExperimentStore, MetricConfig, MetricField,
    SqliteExperimentStore, VariantConfig, VariantValues,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::random::try_cases;

/// Looks at everything that `exp check` looks at; whatever the file holds, it gives an answer.
fn look_at(text: &str) {
    let sources = [SourceFile::new("f.toml", text)];
    let checked = declare::check(&sources, &[]);
    let lines = declare::Lines::new(text);
    for finding in &checked.findings {
        let span = finding.place.span.clone();
        assert!(text.get(span.clone()).is_some(), "{span:?} of {text:?}");
        assert!(lines.position(span.start).line <= text.matches('\n').count() + 1);
    }
    let ids = ["a".to_owned(), "b".to_owned()];
    let samples = [IdSample::Given(&ids)];
    let _ = declare::check_independence(&checked.declarations, &[], &samples);
    let _ = declare::plan(&checked.declarations, &[], true);
}

/// Text that is nearly a file of experiments.
fn nearly_toml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[[experiment]]\n".to_owned()),
        Just("[[experiment.variants]]\n".to_owned()),
        Just("[[experiment.metrics]]\nname = \"m\"\nkind = \"mean\"\n".to_owned()),
        Just(
            "variants = [{ name = \"a\", weight = 1 }, { name = \"b\", weight = 2 }]\n".to_owned()
        ),
        Just("variants = [{ name = \"a\", weight = 1, value = ".to_owned()),
        Just(" }, { name = \"b\", weight = 2, value = ".to_owned()),
        "(name|state|winner|weight|value|values|description|exclusion_group|bucketing|salt|enrolling|coverage)",
        "(variants|experiment|true|false|nan|inf|2025-11-24|1e400|[0-9]{20})",
        "(control|confidence|tuning_actors|population|metrics|kind|column|denominator|quantile|role|better|window|covariate|cap|minimum_effect)",
        "( = |=|\\.|\\[|\\]|\\{|\\}|,|\"|'|\n|\"\"\"|#)",
        "\"(a|b|running|paused|concluded|fnv1a_mixed|\\\\u0000|ä)\"\n",
        "\"(exposed|conversion|ratio|quantile|guardrail|down|7d|99\\.9%|timestamp)\"\n",
        "-?[0-9]{1,12}\n",
        "[01]\\.[0-9]{1,5}\n",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

#[test]
fn any_bytes_are_answered() {
    try_cases(64, &prop::collection::vec(any::<u8>(), 0..400), |bytes| {
        look_at(&String::from_utf8_lossy(&bytes));
        Ok(())
    });
}

#[test]
fn anything_like_a_file_is_answered() {
    try_cases(256, &nearly_toml(), |text| {
        look_at(&text);
        Ok(())
    });
}

/// What is exported and applied elsewhere is the same; applied where it comes from, it is nothing.
#[test]
fn an_export_goes_round() {
    let configs = prop::collection::vec(any_config(), 0..6);
    try_cases(32, &configs, |configs| {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            SqliteExperimentStore::open_or_create(directory.path().join(name)).unwrap()
        };
        let (here, there) = (open("here.db"), open("there.db"));
        for (index, mut config) in configs.into_iter().enumerate() {
            config.name = format!("{} {index}", config.name);
            here.insert(config.clone()).unwrap();
        }
        let service = ExperimentService::new(here);
        let all = service.list().unwrap();
        let sources = [SourceFile::new("export.toml", declare::to_toml(&all))];
        let checked = declare::check(&sources, &[]);
        let again = declare::plan(&checked.declarations, &service.current().unwrap(), true);
        prop_assert!(!again.unwrap().0.has_changes());

        let elsewhere = ExperimentService::new(there);
        let (plan, _) = declare::plan(&checked.declarations, &[], false).unwrap();
        elsewhere.apply(&plan).unwrap();
        prop_assert_eq!(unstamped(elsewhere.list().unwrap()), unstamped(all));
        Ok(())
    });
}

fn unstamped(configs: Vec<ExperimentConfig>) -> Vec<ExperimentConfig> {
    let unstamped = |config| ExperimentConfig {
        updated_at_secs: 0,
        ..config
    };
    configs.into_iter().map(unstamped).collect()
}

/// Whatever an experiment is and is declared to be: the plan comes to that, or is refused where it has to be.
#[test]
fn a_plan_comes_to_what_is_declared() {
    try_cases(128, &(any_config(), any_config()), |(mut is, mut to_be)| {
        to_be.name.clone_from(&is.name);
        is.analysis.control = None;
        to_be.analysis.control = None;
        if is.state == ExperimentState::Archived {
            is.state = ExperimentState::Paused;
            is.winner = None;
        }
        if is.state != ExperimentState::Draft {
            to_be.exclusion_group.clone_from(&is.exclusion_group);
            to_be.salt.clone_from(&is.salt);
            to_be.bucketing = is.bucketing;
            to_be.analysis = AnalysisConfig {
                metrics: to_be.analysis.metrics,
                ..is.analysis.clone()
            };
        }
        let store = InMemoryExperimentStore::new();
        store.insert(is.clone()).unwrap();
        let service = ExperimentService::new(store);
        let file = declare::to_toml(std::slice::from_ref(&to_be));
        let plan_again = || {
            let checked = declare::check(&[SourceFile::new("f.toml", &*file)], &[]);
            declare::plan(&checked.declarations, &service.current().unwrap(), false)
        };
        let planned = plan_again();
        // Nobody goes back to draft, and a conclusion fixes what decides who gets what.
        let is_refused = match (is.state, to_be.state) {
            (ExperimentState::Draft, _) => false,
            (_, ExperimentState::Draft) => true,
            (
                ExperimentState::Concluded,
                ExperimentState::Concluded | ExperimentState::Archived,
            ) => {
                is.variants != to_be.variants
                    || is.values != to_be.values
                    || is.coverage != to_be.coverage
                    || is.enrolling != to_be.enrolling
            }
            _ => false,
        };
        prop_assert_eq!(planned.is_err(), is_refused, "{:?}", planned);
        let Ok((plan, _)) = planned else {
            return Ok(());
        };
        let document = serde_json::to_string(&plan).unwrap();
        let plan: Plan = serde_json::from_str(&document).unwrap();
        prop_assert_eq!(plan.contradiction(), None);
        service.apply(&plan).unwrap();
        prop_assert!(!plan_again().unwrap().0.has_changes());
        if to_be.state == ExperimentState::Archived {
            to_be.winner = to_be.winner.or(is.winner);
        }
        prop_assert_eq!(unstamped(service.list().unwrap()), unstamped(vec![to_be]));
        Ok(())
    });
}

fn any_config() -> impl Strategy<Value = ExperimentConfig> {
    let name = "[^\\p{C}\\p{Z}][^\\p{C}]{0,11}x";
    let variants = prop::collection::btree_map(name, any::<u32>(), 1..4);
    let variants = variants.prop_map(|variants| -> Vec<VariantConfig> {
        let variants = variants.into_iter();
        variants
            .map(|(name, weight)| VariantConfig::new(name, weight))
            .collect()
    });
    let state = prop::sample::select(ExperimentState::ALL.to_vec());
    let bucketing = prop::sample::select(Bucketing::ALL.to_vec());
    let description = prop::option::of("[^\0]{0,30}");
    let group = prop::option::of(name);
    let salt = prop::option::of(name);
    let coverage = (1..=10_000_u64).prop_map(|parts| Coverage::of_10000(parts).unwrap());
    let entry = (any::<bool>(), coverage, any_values());
    let texts = (description, group, salt);
    let parts = (
        name,
        variants,
        state,
        bucketing,
        (texts, entry),
        any_analysis(),
        any::<bool>(),
    );
    parts.prop_map(
        |(name, variants, state, bucketing, (texts, entry), mut analysis, won)| {
            let (description, group, salt) = texts;
            let (enrolling, coverage, values) = entry;
            let names = variants.iter().map(|variant| variant.name.clone());
            let values: VariantValues = names.zip(values).collect();
            let control = analysis.control.is_some();
            analysis.control = control.then(|| variants[variants.len() - 1].name.clone());
            let has_winner = match state {
                ExperimentState::Concluded => true,
                ExperimentState::Archived => won,
                _ => false,
            };
            ExperimentConfig {
                winner: has_winner.then(|| variants[0].name.clone()),
                state,
                bucketing,
                description,
                exclusion_group: group,
                salt,
                enrolling,
                coverage,
                values,
                analysis,
                ..ExperimentConfig::new(name, variants)
            }
        },
    )
}

/// Values of one type, for as many variants as there may be; or none.
fn any_values() -> impl Strategy<Value = Vec<Value>> {
    let text = any::<String>().prop_map(Value::from);
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(Value::from),
    ];
    let flag = any::<bool>().prop_map(Value::from);
    let leaf = prop_oneof![text.clone(), number.clone(), flag.clone()];
    let inner = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![any_list(inner.clone()), any_table(inner)]
    });
    let kinds = [
        text.boxed(),
        number.boxed(),
        flag.boxed(),
        any_list(inner.clone()).boxed(),
        any_table(inner).boxed(),
    ];
    let of_one_kind = kinds.map(|kind| prop::collection::vec(kind, 4).boxed());
    let nothing = Just(Vec::new()).boxed();
    prop::strategy::Union::new(of_one_kind.into_iter().chain([nothing]))
}

fn any_list(item: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec(item, 0..4).prop_map(Value::from)
}

fn any_table(member: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let key = prop_oneof!["[a-z_-]{1,6}", any::<String>()];
    let members = prop::collection::btree_map(key, member, 0..4);
    members.prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Any analysis. If it has a control, that stands for a variant of the experiment.
fn any_analysis() -> impl Strategy<Value = AnalysisConfig> {
    let control = prop::option::of(Just("any".to_owned()));
    let population = prop::sample::select(Population::ALL);
    let metrics = prop::collection::vec(any_metric(), 0..4);
    let parts = (
        control,
        0.51..0.999,
        1..=u64::from(u32::MAX),
        population,
        metrics,
    );
    parts.prop_map(
        |(control, confidence, tuning_actors, population, mut metrics)| {
            for (index, metric) in metrics.iter_mut().enumerate() {
                metric.name = format!("{} {index}", metric.name);
            }
            AnalysisConfig {
                control,
                confidence: Finite::new(confidence).unwrap(),
                tuning_actors,
                population,
                metrics,
            }
        },
    )
}

/// Any metric that a store holds.
fn any_metric() -> impl Strategy<Value = MetricConfig> {
    let name = "[^\\p{C}\\p{Z}][^\\p{C}]{0,11}x";
    let columns = prop::array::uniform3(prop::option::of(name));
    let role = prop::option::of(prop::sample::select(MetricRole::ALL));
    let better = prop::option::of(prop::sample::select(Better::ALL));
    let window = prop::option::of(1..=36_500 * 86_400_u64);
    let cap = prop_oneof![
        Just(None),
        (1e-300..1e300).prop_map(Cap::of_value),
        (0.1..99.9).prop_map(Cap::of_percent),
    ];
    let numbers = prop::array::uniform2(prop::option::of(1e-9..0.999_f64));
    let kind = prop::sample::select(MetricKind::ALL);
    let parts = (name, kind, columns, role, better, window, cap, numbers);
    parts.prop_map(
        |(name, kind, columns, role, better, window, cap, numbers)| {
            let [column, denominator, covariate] = columns;
            let [quantile, minimum_effect] = numbers.map(|number| Finite::new(number?));
            let mut metric = MetricConfig {
                column,
                denominator: denominator.or_else(|| Some("d".to_owned())),
                covariate,
                role,
                better,
                window: window.and_then(Window::of_secs),
                cap,
                quantile,
                minimum_effect: minimum_effect.or_else(|| Finite::new(0.01)),
                ..MetricConfig::new(name, kind)
            };
            let takes = |field: MetricField| field.takers().contains(&kind);
            metric.denominator = metric
                .denominator
                .filter(|_| takes(MetricField::Denominator));
            metric.covariate = metric.covariate.filter(|_| takes(MetricField::Covariate));
            metric.quantile = metric.quantile.filter(|_| takes(MetricField::Quantile));
            metric
        },
    )
}
