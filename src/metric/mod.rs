//! What an experiment is to be judged by: its metrics, and how it is analysed.

mod cap;
mod config;
mod short;
mod window;
mod words;

pub use self::cap::{Cap, NotACap};
pub use self::config::{AnalysisConfig, MetricConfig};
pub use self::short::NotAMetric;
pub use self::window::{NotAWindow, Window};
pub use self::words::{Better, MetricKind, MetricRole, Population};
