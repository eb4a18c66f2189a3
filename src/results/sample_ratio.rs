//! Whether the variants have as many actors as their weights promise: the test of each population, with its
//! counts by period of weights, and what it says in a sentence.

use std::fmt::Write as _;

use serde::Serialize;

use crate::bucketing::{BUCKETS, bucket_counts};
use crate::experiment::{ExperimentConfig, WeightPeriod};
use crate::metric::Population;
use crate::stats::number::real;
use crate::stats::{Cell, WorstCell, sample_ratio};

use super::population::Cohort;
use super::sample::Grid;
use super::totals::ByColumn;
use super::words;

/// Whether the variants have as many actors as their weights promise.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct SampleRatioReport {
    /// Whether one of the tests finds that they have not.
    pub mismatch: bool,
    /// Of the assigned actors and, where those are analysed, of the exposed ones.
    pub tests: Vec<SampleRatioTest>,
    /// Of the actors with each value of a column; empty if no column was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<SampleRatioOfValue>,
}

/// The test of the actors with one value of a column. It shows where a mismatch comes from; it decides nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct SampleRatioOfValue {
    /// The column.
    pub column: String,
    /// The value.
    pub value: String,
    /// Whether these actors are not split as the weights promise.
    pub mismatch: bool,
    /// The test.
    #[serde(flatten)]
    pub test: SampleRatioTest,
}

/// The test of one population.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct SampleRatioTest {
    /// Whose split is tested. Overridden and mixed actors are not among them.
    pub population: Population,
    /// The sum of Pearson's statistics of all periods that have one.
    pub chi_square: Option<f64>,
    /// The sum of their degrees of freedom.
    pub degrees: Option<u64>,
    /// How probable a split at least this far from the promised one is by chance, as if looked at once.
    pub p_value: Option<f64>,
    /// The same, however often it is looked at.
    pub always_valid_p_value: f64,
    /// By period of weights.
    pub periods: Vec<SampleRatioPeriod>,
    /// Whether the actors are not split as the weights promise: the always-valid p-value is below 0.01.
    #[serde(skip)]
    pub mismatch: bool,
    /// Where the counts are furthest from the promised ones, as places in `periods` and their `variants`.
    #[serde(skip)]
    pub worst: Option<WorstCell>,
}

/// One period of weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct SampleRatioPeriod {
    /// When it began, in seconds since the Unix epoch.
    pub from_secs: u64,
    /// Its variants, in order.
    pub variants: Vec<SampleRatioVariant>,
    /// Pearson's statistic; `None` where it says nothing.
    pub chi_square: Option<f64>,
    /// Its degrees of freedom.
    pub degrees: Option<u64>,
    /// Its p-value, as if looked at once.
    pub p_value: Option<f64>,
}

/// One variant in one period of weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct SampleRatioVariant {
    /// The variant.
    pub variant: String,
    /// Its weight.
    pub weight: u32,
    /// How many of the period's actors it should have.
    pub expected: f64,
    /// How many it has.
    pub actors: u64,
}

/// Tests the counts that a store keeps of each period: at once, however many actors there are. Those whom an
/// override assigned do not count; exposures are not looked at.
#[must_use]
pub fn sample_ratio_of_periods(periods: &[WeightPeriod]) -> SampleRatioReport {
    let test = SampleRatioTest::new(Population::Assigned, periods, |period, variant| {
        let count = period.counts.iter().find(|count| count.variant == variant);
        count.map_or(0, |count| count.assigned)
    });
    SampleRatioReport::of_tests(vec![test])
}

impl SampleRatioReport {
    /// Tests each of these cohorts.
    pub(super) fn new(
        config: &ExperimentConfig,
        periods: &[WeightPeriod],
        cohorts: &[&Cohort],
        by: Option<&ByColumn>,
    ) -> Self {
        let counts = Counts { config, periods };
        let test = |cohort: &&Cohort| counts.test(cohort, &counts.of(cohort));
        let mut report = Self::of_tests(cohorts.iter().map(test).collect());
        if let (Some(by), [.., cohort]) = (by, cohorts) {
            let grids = counts.of_values(cohort, by);
            let values = by.values.iter().zip(&grids).map(|(value, grid)| {
                let test = counts.test(cohort, grid);
                SampleRatioOfValue {
                    column: by.column.clone(),
                    value: value.clone(),
                    mismatch: test.mismatch,
                    test,
                }
            });
            report.by = values.collect();
        }
        report
    }

    fn of_tests(tests: Vec<SampleRatioTest>) -> Self {
        Self {
            mismatch: tests.iter().any(|test| test.mismatch),
            tests,
            by: Vec::new(),
        }
    }

    /// What it says, in a sentence without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let tests = self.tests.iter();
        let worst = tests.min_by(|one, other| {
            let (one, other) = (one.always_valid_p_value, other.always_valid_p_value);
            one.total_cmp(&other)
        });
        worst.map_or_else(String::new, SampleRatioTest::sentence)
    }
}

impl SampleRatioTest {
    /// Tests the counts that `actors` gives for each period and variant.
    fn new(
        population: Population,
        periods: &[WeightPeriod],
        actors: impl Fn(&WeightPeriod, &str) -> u64,
    ) -> Self {
        let cells = periods.iter().map(|period| {
            let buckets = bucket_counts(period.variants.iter().map(|variant| variant.weight));
            let variants = period.variants.iter().zip(buckets);
            let cells = variants.map(|(variant, buckets)| Cell {
                share: words::share(buckets, BUCKETS),
                actors: actors(period, &variant.name),
            });
            cells.collect()
        });
        let cells: Vec<Vec<Cell>> = cells.collect();
        let found = sample_ratio(&cells);
        let tested = periods.iter().zip(&cells).zip(found.periods);
        let tested = tested.map(|((period, cells), found)| {
            let variants = period.variants.iter().zip(cells).zip(found.expected);
            let variants = variants.map(|((variant, cell), expected)| SampleRatioVariant {
                variant: variant.name.clone(),
                weight: variant.weight,
                expected,
                actors: cell.actors,
            });
            SampleRatioPeriod {
                from_secs: period.from_secs,
                variants: variants.collect(),
                chi_square: found.chi_square,
                degrees: found.degrees,
                p_value: found.p_value,
            }
        });
        Self {
            population,
            chi_square: found.chi_square,
            degrees: found.degrees,
            p_value: found.p_value,
            always_valid_p_value: found.always_valid_p_value,
            periods: tested.collect(),
            mismatch: found.mismatch,
            worst: found.worst,
        }
    }

    /// What it says, in a sentence without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let p = words::p_value(self.always_valid_p_value);
        let Some((period, variant)) = self.worst_variant() else {
            return "there are no actors yet, so the sample ratio cannot be tested".to_owned();
        };
        if !self.mismatch {
            return format!("the sample ratio matches the weights ({p})");
        }
        let total = period.variants.iter().map(|variant| variant.actors).sum();
        let expected = variant.expected / real(total);
        let [got, expected] = words::percent_apart(words::share(variant.actors, total), expected);
        let exposed = match self.population {
            Population::Assigned => "",
            Population::Exposed => "of the exposed actors ",
        };
        let mut sentence = format!(
            "the sample ratio is broken ({exposed}{} got {got} where {expected} was expected",
            words::name(&variant.variant)
        );
        if self.periods.len() > 1 {
            let day = words::day(period.from_secs);
            // Writing to a string cannot fail.
            let _ = write!(sentence, " under the weights from {day} on");
        }
        sentence + ", " + &p + ")"
    }

    fn worst_variant(&self) -> Option<(&SampleRatioPeriod, &SampleRatioVariant)> {
        let worst = self.worst?;
        let period = self.periods.get(worst.period)?;
        Some((period, period.variants.get(worst.variant)?))
    }
}

/// Counts the actors of a cohort by period and variant.
struct Counts<'a> {
    config: &'a ExperimentConfig,
    periods: &'a [WeightPeriod],
}

impl Counts<'_> {
    fn empty(&self, cohort: &Cohort) -> Grid<u64> {
        Grid::new(cohort.periods.len(), self.config.variants.len())
    }

    /// All of them.
    fn of(&self, cohort: &Cohort) -> Grid<u64> {
        let mut grid = self.empty(cohort);
        for actor in cohort.actors() {
            *grid.cell(&actor) += 1;
        }
        grid
    }

    /// Those with each value of a column.
    fn of_values(&self, cohort: &Cohort, by: &ByColumn) -> Vec<Grid<u64>> {
        let mut grids = vec![self.empty(cohort); by.values.len()];
        for actor in cohort.actors() {
            let value = by.of_actor.get(actor.number).copied();
            let value = value.and_then(|value| usize::try_from(value).ok());
            if let Some(grid) = value.and_then(|value| grids.get_mut(value)) {
                *grid.cell(&actor) += 1;
            }
        }
        grids
    }

    /// Tests them, in the periods that had begun by the end.
    fn test(&self, cohort: &Cohort, counts: &Grid<u64>) -> SampleRatioTest {
        let place = |period: &WeightPeriod| cohort.periods.binary_search(&period.period).ok();
        let periods = self.periods.iter();
        let begun = periods
            .filter(|period| period.from_secs <= cohort.to_secs() || place(period).is_some());
        let begun: Vec<WeightPeriod> = begun.cloned().collect();
        SampleRatioTest::new(cohort.population(), &begun, |period, variant| {
            let mut variants = self.config.variants.iter();
            let variant = variants.position(|known| known.name == variant);
            let cells = place(period).and_then(|place| counts.periods().nth(place));
            cells
                .zip(variant)
                .map_or(0, |(cells, variant)| cells[variant])
        })
    }
}
