//! Which columns are needed, and what for.

use super::error::OutcomesError;
use crate::metric::{MetricConfig, MetricKind};
use crate::suggest::nearest;

/// The columns that are no metric's.
#[derive(Debug, Clone, Copy, Default)]
pub struct ColumnNames<'a> {
    /// Whose outcome it is; `actor` if it is not set.
    pub actor: Option<&'a str>,
    /// When it was; if it is not set, `timestamp`, and then it need not be there.
    pub time: Option<&'a str>,
    /// What actors are told apart by.
    pub by: Option<&'a str>,
}

/// What a column is to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Actor,
    Time,
    /// One of the numbers.
    Number(usize),
    By,
}

/// One metric, as the rows feed it.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) is_conversion: bool,
    /// Which of a row's numbers it takes.
    pub(super) value: usize,
    pub(super) denominator: Option<usize>,
    pub(super) covariate: Option<usize>,
    /// In seconds; infinite if there is none.
    pub(super) window: f64,
    /// The place of its sum in an actor's account; that of the denominator is the next one.
    pub(super) sum: usize,
}

/// What is read of each row, and what is kept for each actor.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) actor: String,
    pub(super) time: String,
    is_time_named: bool,
    pub(super) by: Option<String>,
    /// The columns with the numbers of a row.
    pub(super) numbers: Vec<String>,
    pub(super) metrics: Vec<Fed>,
    /// How many places an actor's account has: one for the start, and the sums.
    pub(super) account: usize,
    windowed: Option<String>,
}

impl Plan {
    pub(super) fn new(metrics: &[MetricConfig], names: &ColumnNames<'_>) -> Self {
        let mut numbers: Vec<String> = Vec::new();
        let mut number = |name: &str| {
            let known = numbers.iter().position(|known| known == name);
            known.unwrap_or_else(|| {
                numbers.push(name.to_owned());
                numbers.len() - 1
            })
        };
        let mut account = 1;
        let fed = metrics.iter().map(|metric| {
            let is_ratio = metric.kind == MetricKind::Ratio;
            let denominator = metric.denominator.as_deref().filter(|_| is_ratio);
            #[expect(clippy::cast_precision_loss, reason = "a window that long never ends")]
            let window = metric.window.map(|window| window.secs() as f64);
            let fed = Fed {
                is_conversion: metric.kind == MetricKind::Conversion,
                value: number(metric.column()),
                denominator: denominator.map(&mut number),
                covariate: metric.covariate.as_deref().map(&mut number),
                window: window.unwrap_or(f64::INFINITY),
                sum: account,
            };
            account += 1 + usize::from(fed.denominator.is_some());
            fed
        });
        let metrics_fed = fed.collect();
        let windowed = metrics.iter().find(|metric| metric.window.is_some());
        Self {
            actor: names.actor.unwrap_or("actor").to_owned(),
            time: names.time.unwrap_or("timestamp").to_owned(),
            is_time_named: names.time.is_some(),
            by: names.by.map(str::to_owned),
            numbers,
            metrics: metrics_fed,
            account,
            windowed: windowed.map(|metric| metric.name.clone()),
        }
    }

    /// Each column with a part in it.
    pub(super) fn roles(&self) -> impl Iterator<Item = (&str, Role)> {
        let numbers = self.numbers.iter().enumerate();
        let numbers = numbers.map(|(place, name)| (&**name, Role::Number(place)));
        let by = self.by.as_deref().map(|name| (name, Role::By));
        let own = [(&*self.actor, Role::Actor), (&*self.time, Role::Time)];
        own.into_iter().chain(numbers).chain(by)
    }

    /// The name of a column.
    pub(super) fn name(&self, role: Role) -> &str {
        match role {
            Role::Actor => &self.actor,
            Role::Time => &self.time,
            Role::Number(place) => &self.numbers[place],
            Role::By => self.by.as_deref().unwrap_or_default(),
        }
    }

    /// Whether it matters which of an actor's rows is first.
    pub(super) fn needs_order(&self) -> bool {
        self.by.is_some() || self.metrics.iter().any(|fed| fed.covariate.is_some())
    }

    /// Finds the columns in a header: each place that has a part, in order.
    pub(super) fn find(&self, header: &[String]) -> Result<Vec<(usize, Role)>, OutcomesError> {
        let mut found = Vec::new();
        for (name, role) in self.roles() {
            let mut places = header.iter().enumerate();
            let mut next = || Some(places.find(|(_, known)| *known == name)?.0);
            match (next(), next()) {
                (Some(place), None) => found.push((place, role)),
                (Some(_), Some(_)) => return Err(OutcomesError::DuplicateColumn(name.to_owned())),
                (None, _) => self.require(role, false, header)?,
            }
        }
        found.sort_by_key(|(place, _)| *place);
        Ok(found)
    }

    /// Refuses what can't be done without a column, unless it is there; `known` are those that are.
    pub(super) fn require(
        &self,
        role: Role,
        is_there: bool,
        known: &[String],
    ) -> Result<(), OutcomesError> {
        if is_there {
            return Ok(());
        }
        if role == Role::Time && !self.is_time_named {
            return match &self.windowed {
                None => Ok(()),
                Some(metric) => Err(OutcomesError::WindowWithoutTimes {
                    metric: metric.clone(),
                    column: self.time.clone(),
                }),
            };
        }
        let column = self.name(role);
        let nearest = nearest(column, known.iter().map(|name| &**name));
        Err(OutcomesError::MissingColumn {
            column: column.to_owned(),
            nearest: nearest.map(str::to_owned),
        })
    }
}
