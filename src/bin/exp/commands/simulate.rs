use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use experiments::declare::{self, Checked, Severity};
use experiments::simulation::{JointSimulation, Simulation, simulate, simulate_jointly};
use experiments::{Coverage, ExperimentConfig, ExperimentError, IdShape};
use schemars::JsonSchema;
use serde::Serialize;

use super::{actor_list, files};
use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit::{Invalid, UsageError};
use crate::output::View;
use crate::output::figures::{self, p_is};
use crate::output::findings::Findings;
use crate::output::stream;
use crate::output::text::{
    BOLD, Text, bar, cell, line_or_wrapped, number, percent, safe, styled, wrapped,
};
use crate::output::tsv::Tsv;
use crate::whole_number;

/// Show the split that experiments would give
///
/// Splits made-up ids, or those of a file, by coverage and bucket alone, whatever is stored. For two
/// experiments it also shows how the two splits combine. Writes nothing.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp simulate checkout_v2\n  \
    exp simulate checkout_v2 email_cta --shape uuid --count 100000\n  \
    exp simulate experiments.toml --actors users.txt\n\n\
    TSV columns: experiment, variant, expected_share, count, share, difference")]
pub(crate) struct Simulate {
    /// Experiments of the store, or files of experiments (names that end in .toml or contain a /)
    #[arg(required = true, value_name = "NAME|FILE", add = complete::experiments())]
    targets: Vec<String>,

    /// Split these ids, one a line; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
          conflicts_with_all = ["count", "shape"])]
    actors: Option<PathBuf>,

    /// How many made-up ids to split
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = whole_number::positive)]
    count: u64,

    /// What the made-up ids look like
    #[arg(long, value_enum, default_value_t, value_name = "SHAPE")]
    shape: Shape,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Shape {
    /// user:42
    #[default]
    User,
    /// 42
    Number,
    /// 00000042
    Padded,
    /// Random UUIDs, the same every time
    Uuid,
}

impl From<Shape> for IdShape {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::User => Self::User,
            Shape::Number => Self::Number,
            Shape::Padded => Self::Padded,
            Shape::Uuid => Self::Uuid,
        }
    }
}

impl Simulate {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let reads_ids = self.actors.as_deref() == Some(Path::new("-"));
        if reads_ids && self.targets.iter().any(|target| target == "-") {
            let message = "standard input can't be both the files and the ids";
            return Err(UsageError(message.to_owned()).into());
        }
        let mut configs = Vec::new();
        for target in &self.targets {
            configs.extend(find(target, context)?);
        }
        let given = self.actors.as_deref().map(files::read_ids).transpose()?;
        if let Some(ids) = &given {
            actor_list::warn(ids, context);
        }
        let shape = IdShape::from(self.shape);
        let over = match &given {
            Some(_) => "the given ids",
            None => shape.describe(),
        };
        let one = |config: &ExperimentConfig| match &given {
            Some(ids) => simulate(config, ids),
            None => simulate(config, shape.ids(self.count)),
        };
        let joint = match &configs[..] {
            [a, b] => Some(match &given {
                Some(ids) => simulate_jointly(a, b, ids),
                None => simulate_jointly(a, b, shape.ids(self.count)),
            }),
            _ => None,
        };
        let simulations: Vec<Simulation> = configs.iter().map(one).collect();
        context.show(&Simulated {
            configs: &configs,
            over,
            simulations,
            joint,
        })
    }
}

/// The experiments of a file, or the one of that name in the store.
fn find(target: &str, context: &Context) -> anyhow::Result<Vec<ExperimentConfig>> {
    let path = Path::new(target);
    let is_path = path.extension().is_some_and(|e| e == "toml")
        || target == "-"
        || target.contains(std::path::is_separator);
    if !is_path {
        let all = context.service(Purpose::Use)?.list()?;
        let found = all.into_iter().find(|config| config.name == target);
        return Ok(vec![
            found.ok_or_else(|| ExperimentError::NotFound(target.to_owned()))?,
        ]);
    }
    let sources = files::read_sources(&[path.to_owned()])?.files;
    let Checked {
        declarations,
        mut findings,
        ..
    } = declare::check(&sources, &[]);
    findings.retain(|finding| finding.severity() == Severity::Error);
    if !findings.is_empty() {
        let view = Findings::new(&sources, &findings);
        stream::tell_styled(context.render_text(&view));
        return Err(Invalid(view.summary()).into());
    }
    if declarations.is_empty() {
        return Err(Invalid(format!("no experiment in {target}")).into());
    }
    Ok(declarations.into_iter().map(|d| d.config).collect())
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Simulated<'a> {
    #[serde(skip)]
    configs: &'a [ExperimentConfig],
    #[serde(skip)]
    over: &'static str,
    /// Each experiment by itself.
    simulations: Vec<Simulation>,
    /// How two experiments meet; null unless two are named.
    joint: Option<JointSimulation>,
}

impl View for Simulated<'_> {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "experiment",
            "variant",
            "expected_share",
            "count",
            "share",
            "difference",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for simulation in &self.simulations {
            for variant in &simulation.variants {
                tsv.line(&[
                    &simulation.experiment,
                    &variant.variant,
                    &format!("{:.4}", variant.expected_share),
                    &variant.count.to_string(),
                    &format!("{:.6}", variant.share),
                    &format!("{:.6}", variant.difference),
                ]);
            }
        }
    }

    fn text(&self, text: &mut Text) {
        for simulation in &self.simulations {
            write_simulation(simulation, self.over, text);
        }
        if let (Some(joint), [first, second]) = (&self.joint, self.configs) {
            write_joint(joint, first, second, text);
        }
    }
}

fn write_simulation(simulation: &Simulation, over: &str, text: &mut Text) {
    let head = styled(BOLD, safe(&simulation.experiment));
    let entered = if simulation.coverage == Coverage::FULL {
        String::new()
    } else {
        let coverage = figures::share(simulation.coverage.share());
        format!(
            ", of which {} enter (coverage {coverage})",
            simulation.entered
        )
    };
    let first = format!("{head}: {} of {over}{entered}", simulation.actors);
    line_or_wrapped(text, 2, &first);
    if !simulation.enrolling {
        wrapped(
            text,
            "",
            "closed to newcomers: nobody enters now; this is the split once it is open",
        );
    }
    let header = ["VARIANT", "EXPECTED", "COUNT", "SHARE", "DIFF"];
    let bar_width = match text.width() {
        Some(width) if width < 60 => 0,
        Some(width) => (width - 50).min(30),
        None => 30,
    };
    let mut header = header.to_vec();
    if bar_width > 0 {
        header.push("");
    }
    let rows = simulation.variants.iter().map(|variant| {
        let mut row = vec![
            cell(&variant.variant),
            number(percent(variant.expected_share)),
            number(variant.count),
            number(percent(variant.share)),
            number(format_args!("{:+.2}%", variant.difference * 100.0)),
        ];
        if bar_width > 0 {
            row.push(cell(&bar(variant.share, bar_width)));
        }
        row
    });
    text.table(&header, rows.collect());
    if let (Some(chi_square), Some(p)) = (simulation.chi_square, simulation.p_value) {
        text.line(format_args!("chi-square {chi_square:.2}, {}", p_is(p)));
    }
    text.line("");
}

fn write_joint(
    joint: &JointSimulation,
    first: &ExperimentConfig,
    second: &ExperimentConfig,
    text: &mut Text,
) {
    let head = format!(
        "{} (down) and {} (across) together: count (by chance)",
        styled(BOLD, safe(&first.name)),
        styled(BOLD, safe(&second.name)),
    );
    line_or_wrapped(text, 2, &head);
    let names = second.variants.iter().map(|variant| safe(&variant.name));
    let names: Vec<String> = std::iter::once(String::new()).chain(names).collect();
    let header: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = first.variants.iter().enumerate().map(|(row, variant)| {
        let cells = joint.counts[row].iter().zip(&joint.expected[row]);
        let cells = cells.map(|(count, expected)| number(format_args!("{count} ({expected:.0})")));
        std::iter::once(cell(&variant.name)).chain(cells).collect()
    });
    text.table(&header, rows.collect());
}
