//! Everything that the statistics compute, held to other programs and to the definitions at 50 digits. The
//! numbers and where they come from: `fixtures/stats/golden.py`.

use std::collections::BTreeMap;

use super::distributions::{chi_square_tail, normal_quantile, normal_tail, t_quantile, t_tail};
use super::*;

const TAILS: &str = include_str!("../../fixtures/stats/tails.tsv");
const ACTORS: &str = include_str!("../../fixtures/stats/actors.tsv");
const GOLDEN: &str = include_str!("../../fixtures/stats/golden.tsv");

/// What every number is held to; most are far nearer.
const TOLERANCE: f64 = 1e-9;

/// The largest relative difference by source, and where it is.
#[derive(Default)]
struct Worst<'a>(BTreeMap<&'a str, (f64, String)>);

impl<'a> Worst<'a> {
    fn compare(&mut self, source: &'a str, what: &str, found: Option<f64>, expected: f64) {
        let found = found.unwrap_or_else(|| panic!("{what} is none, by {source} {expected}"));
        let apart = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
        let worst = self.0.entry(source).or_default();
        if apart >= worst.0 {
            *worst = (apart, format!("{what}: {found:e} is not {expected:e}"));
        }
    }

    fn is_small(&self) {
        for (source, (apart, what)) in &self.0 {
            println!("{source}: {apart:e}, {what}");
        }
        let is_near = |source: &str| self.0[source].0 < tolerance(source);
        assert!(self.0.keys().all(|source| is_near(source)));
    }
}

/// Some sources give fewer digits than they print.
fn tolerance(source: &str) -> f64 {
    match source {
        // Sums of squares, and odds by differences of log gammas.
        "gbstats" | "savvi" => 1e-8,
        _ => TOLERANCE,
    }
}

/// One line of `golden.tsv`.
struct Figure {
    case: &'static str,
    name: &'static str,
    value: &'static str,
    source: &'static str,
}

fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect())
}

fn golden() -> Vec<Figure> {
    let figures = lines(GOLDEN).map(|cells| Figure {
        case: cells[0],
        name: cells[1],
        value: cells[2],
        source: cells[3],
    });
    figures.collect()
}

/// What a case was made with.
fn given(case: &str, name: &str) -> &'static str {
    let figures = golden().into_iter();
    let mut given = figures.filter(|figure| figure.source == "case");
    let found = given.find(|figure| figure.case == case && figure.name == name);
    found.unwrap().value
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

#[test]
fn tails_and_quantiles_agree_at_any_degrees() {
    let mut worst = Worst::default();
    for cells in lines(TAILS) {
        let arguments: Vec<f64> = cells[1].split(' ').map(number).collect();
        let found = match (cells[0], &arguments[..]) {
            ("tsf", &[degrees, t]) => Some(t_tail(t, degrees)),
            ("tisf", &[degrees, p]) => t_quantile(p, degrees),
            ("normsf", &[z]) => Some(normal_tail(z)),
            ("normisf", &[p]) => normal_quantile(p),
            ("chi2sf", &[degrees, x]) => chi_square_tail(x, degrees),
            other => panic!("{other:?}"),
        };
        worst.compare("definition", &cells.join(" "), found, number(cells[2]));
        worst.compare("scipy", &cells.join(" "), found, number(cells[3]));
    }
    worst.is_small();
    assert!(worst.0["definition"].0 < 1e-11);
}

/// The actors of a case: (outcome, covariate or denominator), by period and arm.
fn periods<T>(case: &str, empty: T, add: impl Fn(&mut T, f64, Option<f64>)) -> Vec<Period<T>>
where
    T: Clone,
{
    let mut periods: Vec<Period<T>> = Vec::new();
    for cells in lines(ACTORS).filter(|cells| cells[0] == case) {
        let index: usize = cells[1].parse().unwrap();
        if index == periods.len() {
            periods.push(Period {
                actors: given(case, &format!("period_{index}")).parse().unwrap(),
                variant: empty.clone(),
                control: empty.clone(),
            });
        }
        let arm = match cells[2] {
            "variant" => &mut periods[index].variant,
            _ => &mut periods[index].control,
        };
        add(arm, number(cells[3]), cells[4].parse().ok());
    }
    periods
}

/// All figures of a case by name.
fn figures(case: &str) -> BTreeMap<String, Option<f64>> {
    let confidence = number(given(case, "confidence"));
    let mut figures = BTreeMap::new();
    let comparison = match given(case, "kind") {
        "mean" => {
            let add = |arm: &mut Moments, x, _| arm.add(x);
            compare_means(&periods(case, Moments::new(), add))
        }
        "ratio" => {
            let add = |arm: &mut PairMoments, x, y: Option<f64>| arm.add(x, y.unwrap());
            compare_ratios(&periods(case, PairMoments::new(), add))
        }
        "cuped" => {
            let cuped = compare_adjusted(&periods(
                case,
                CovariateMoments::new(),
                CovariateMoments::add,
            ));
            let cuped = cuped.unwrap();
            figures.insert("theta".to_owned(), Some(cuped.theta));
            figures.insert("variance_reduction".to_owned(), cuped.variance_reduction);
            cuped.adjusted
        }
        _ => {
            let add = |arm: &mut Vec<f64>, x, _| arm.push(x);
            let mut periods = periods(case, Vec::new(), add);
            let quantile = number(given(case, "quantile"));
            let [period] = &mut periods[..] else { panic!() };
            compare_quantiles(
                &mut period.variant,
                &mut period.control,
                quantile,
                confidence,
            )
        }
    };
    let analysis = Analysis {
        confidence,
        tuning_actors: given(case, "tuning_actors").parse().unwrap(),
    };
    let means = comparison.means();
    let difference = comparison.difference(&analysis);
    let relative = comparison.relative(&analysis);
    let always = comparison.always_valid(&analysis);
    let detectable = comparison.detectable_effect(&analysis);
    let [up, down] =
        [Direction::Up, Direction::Down].map(|better| comparison.one_sided(better, &analysis));
    let count = |count: u64| count.to_string().parse().ok();
    let named = [
        ("actors", count(comparison.actors())),
        ("left_out_actors", count(comparison.left_out_actors())),
        ("mean_variant", means.variant),
        ("mean_control", means.control),
        ("variance_variant", Some(comparison.variant.variance)),
        ("variance_control", Some(comparison.control.variance)),
        ("difference", difference.estimate),
        ("standard_error", difference.standard_error),
        ("degrees", difference.degrees),
        ("p_value", difference.p_value),
        ("low", difference.low),
        ("high", difference.high),
        ("relative", relative.estimate),
        ("relative_low", relative.low),
        ("relative_high", relative.high),
        ("always_low", always.low),
        ("always_high", always.high),
        ("always_relative_low", always.relative_low),
        ("always_relative_high", always.relative_high),
        ("always_p_value", always.p_value),
        ("one_sided_low_up", up.relative_low),
        ("one_sided_high_up", up.relative_high),
        ("one_sided_low_down", down.relative_low),
        ("one_sided_high_down", down.relative_high),
        ("chance_up", comparison.chance_to_win(Direction::Up)),
        ("chance_down", comparison.chance_to_win(Direction::Down)),
        ("loss_up", comparison.expected_loss(Direction::Up)),
        ("loss_down", comparison.expected_loss(Direction::Down)),
        ("detectable_fixed", detectable.fixed),
        ("detectable_always", detectable.always_valid),
    ];
    figures.extend(named.map(|(name, value)| (name.to_owned(), value)));
    figures
}

#[test]
fn every_figure_of_a_comparison_agrees() {
    let golden = golden();
    let mut found = BTreeMap::new();
    for figure in golden.iter().filter(|figure| figure.name == "kind") {
        found.insert(figure.case, figures(figure.case));
    }
    assert_eq!(found.len(), 13);
    let mut worst = Worst::default();
    for figure in golden.iter().filter(|figure| figure.source != "case") {
        if let Some(found) = found.get(figure.case) {
            let what = format!("{} of {}", figure.name, figure.case);
            worst.compare(
                figure.source,
                &what,
                found[figure.name],
                number(figure.value),
            );
        }
    }
    assert_eq!(worst.0.len(), 4, "four sources");
    worst.is_small();
}

#[test]
fn the_split_agrees() {
    let golden = golden();
    let mut worst = Worst::default();
    for case in golden.iter().filter(|figure| figure.name == "split") {
        let cells = |period: &str| -> Vec<Cell> {
            let cells = period.split(',').map(|cell| cell.split_once(':').unwrap());
            let cells = cells.map(|(buckets, actors)| Cell {
                share: number(buckets) / 10_000.0,
                actors: actors.parse().unwrap(),
            });
            cells.collect()
        };
        let split: Vec<Vec<Cell>> = case.value.split(';').map(cells).collect();
        let result = sample_ratio(&split);
        for figure in golden.iter().filter(|figure| figure.case == case.case) {
            let found = match figure.name {
                "split" => continue,
                "chi_square" => result.chi_square,
                "p_value" => result.p_value,
                "always_valid_p_value" => Some(result.always_valid_p_value),
                name => {
                    let (name, period) = name.rsplit_once('_').unwrap();
                    let period = &result.periods[period.parse::<usize>().unwrap()];
                    match name {
                        "chi_square" => period.chi_square,
                        _ => period.p_value,
                    }
                }
            };
            let what = format!("{} of {}", figure.name, figure.case);
            worst.compare(figure.source, &what, found, number(figure.value));
        }
    }
    assert_eq!(worst.0.len(), 3, "three sources");
    worst.is_small();
}

#[test]
fn adjusted_p_values_agree() {
    let p_values = given("holm", "given").split(',');
    let p_values: Vec<Option<f64>> = p_values.map(|p| p.parse().ok()).collect();
    let mut worst = Worst::default();
    for (index, found) in holm(&p_values).into_iter().enumerate() {
        let name = format!("adjusted_{index}");
        let golden = golden().into_iter().find(|figure| figure.name == name);
        let golden = golden.unwrap();
        worst.compare(golden.source, &name, Some(found), number(golden.value));
    }
    worst.is_small();
}

/// A size is the first whole number from the real one on.
#[test]
fn sample_sizes_agree() {
    let golden = golden();
    let mut sizes = 0;
    for case in golden.iter().filter(|figure| figure.name == "plan") {
        let cells: Vec<&str> = case.value.split(',').collect();
        let numbers: Vec<f64> = cells[1..].iter().map(|cell| number(cell)).collect();
        let plan = |look| Plan {
            outcome: match cells[0] {
                "conversion" => Outcome::Conversion {
                    baseline: numbers[0],
                },
                _ => Outcome::Mean {
                    deviation: numbers[0],
                },
            },
            weights: (numbers[2], numbers[3]),
            analysis: Analysis {
                confidence: numbers[4],
                tuning_actors: cells[7].parse().unwrap(),
            },
            power: numbers[5],
            look,
        };
        for (name, look) in [
            ("actors_once", Look::Once),
            ("actors_always", Look::AlwaysValid),
        ] {
            let expected = golden
                .iter()
                .find(|figure| figure.case == case.case && figure.name == name);
            let expected = number(expected.unwrap().value).ceil();
            let share = numbers[2] / (numbers[2] + numbers[3]);
            let found = plan(look).sample_size(numbers[1]).unwrap();
            let by_arm = [expected * share, expected * (1.0 - share)];
            for (found, expected) in [found.control, found.variant].into_iter().zip(by_arm) {
                let expected = format!("{:.0}", expected.ceil());
                assert_eq!(found.to_string(), expected, "{name} of {}", case.case);
            }
            sizes += 1;
        }
    }
    assert_eq!(sizes, 8);
}
