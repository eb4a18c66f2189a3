//! A metric as it is declared, and how an experiment is analysed. Data; what makes it valid is in `validation`.

use serde::{Deserialize, Serialize};

use super::cap::Cap;
use super::window::Window;
use super::words::{Better, MetricKind, MetricRole, Population};
use crate::number::Finite;

/// One metric of an experiment, as it is declared: what is not set has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct MetricConfig {
    /// Unique in the experiment.
    pub name: String,
    /// What is made of an actor's outcomes.
    pub kind: MetricKind,
    /// The column of the outcomes; the name if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Of a ratio: the column that it is divided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<String>,
    /// Of a quantile: which one, between 0 and 1; 0.5 if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<Finite>,
    /// What part it has in the decision; if it is not set, the first metric is primary and the others are
    /// secondary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MetricRole>,
    /// Which direction is good; up if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
    /// How long after an actor's start outcomes count; without end if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// A column that was measured before the start, to adjust for (CUPED).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariate: Option<String>,
    /// What larger values are cut to; of a ratio, those of the numerator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// Relative to the control: the smallest change worth having; of a guardrail, the largest harm allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_effect: Option<Finite>,
}

impl MetricConfig {
    /// The quantile of one that says none: the median.
    pub const MEDIAN: f64 = 0.5;

    /// A metric with nothing else set.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: MetricKind) -> Self {
        Self {
            name: name.into(),
            kind,
            column: None,
            denominator: None,
            quantile: None,
            role: None,
            better: None,
            window: None,
            covariate: None,
            cap: None,
            minimum_effect: None,
        }
    }

    /// The column of the outcomes that it is made of.
    #[must_use]
    pub fn column(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }

    /// Which direction is good.
    #[must_use]
    pub fn better(&self) -> Better {
        self.better.unwrap_or(Better::Up)
    }

    /// Its part in the decision, in this place of the experiment's list, counted from 0.
    #[must_use]
    pub fn role_at(&self, place: usize) -> MetricRole {
        let default = if place == 0 {
            MetricRole::Primary
        } else {
            MetricRole::Secondary
        };
        self.role.unwrap_or(default)
    }

    /// Which quantile it is, between 0 and 1.
    #[must_use]
    pub fn quantile(&self) -> f64 {
        self.quantile.map_or(Self::MEDIAN, Finite::get)
    }

    /// The same metric, in this place of the experiment's list, with every default written out: two that mean
    /// the same are equal.
    #[must_use]
    pub fn in_full(&self, place: usize) -> Self {
        let is_quantile = self.kind == MetricKind::Quantile;
        let quantile = Finite::new(self.quantile()).filter(|_| is_quantile);
        Self {
            column: Some(self.column().to_owned()),
            quantile,
            role: Some(self.role_at(place)),
            better: Some(self.better()),
            ..self.clone()
        }
    }
}

/// How an experiment is analysed. All but the metrics is fixed once it has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AnalysisConfig {
    /// The variant that the others are compared with; if it is not set, the first.
    pub control: Option<String>,
    /// How sure an interval is, between 0 and 1.
    pub confidence: Finite,
    /// The number of actors at which the always-valid intervals are narrowest (N* in the literature).
    pub tuning_actors: u64,
    /// Whose outcomes are analysed.
    pub population: Population,
    /// What it is judged by.
    pub metrics: Vec<MetricConfig>,
}

impl AnalysisConfig {
    /// The confidence of an experiment that says none.
    pub const CONFIDENCE: f64 = 0.95;
    /// The tuning of an experiment that says none.
    pub const TUNING_ACTORS: u64 = 5000;

    /// The primary metrics without a window, each with its place in the list. Of these no winner is named before
    /// every outcome is in.
    pub fn deciding_without_window(&self) -> impl Iterator<Item = (usize, &MetricConfig)> {
        let metrics = self.metrics.iter().enumerate();
        metrics.filter(|(place, metric)| {
            metric.window.is_none() && metric.role_at(*place) == MetricRole::Primary
        })
    }
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self {
            control: None,
            confidence: Finite::new(Self::CONFIDENCE).unwrap_or_default(),
            tuning_actors: Self::TUNING_ACTORS,
            population: Population::Assigned,
            metrics: Vec::new(),
        }
    }
}
