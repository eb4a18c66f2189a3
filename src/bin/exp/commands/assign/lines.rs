//! The lines that are printed for many actors.

use std::io::Write;

use anyhow::Context as _;
use experiments::{Allocation, AssignmentReason, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::value;
use crate::options::Format;
use crate::output::{json, tsv};

const FAILED: &str = "cannot write to standard output";

/// Lines on standard output.
pub(super) struct Output<'a, W: Write> {
    pub(super) writer: W,
    pub(super) format: Format,
    pub(super) allocation: Allocation,
    pub(super) experiment: &'a str,
    pub(super) prints_values: bool,
    pub(super) line: String,
}

impl<W: Write> Output<'_, W> {
    /// Writes the names of the columns.
    pub(super) fn header(&mut self) -> anyhow::Result<()> {
        let header = match self.format {
            Format::Json => "",
            _ if self.prints_values => "actor\tvalue\n",
            _ => "actor\tvariant\n",
        };
        self.writer.write_all(header.as_bytes()).context(FAILED)
    }

    pub(super) fn write(&mut self, actor: &str, verdict: &Verdict<'_>) -> anyhow::Result<()> {
        self.line.clear();
        match self.format {
            Format::Json => {
                let bucket = self.allocation.bucket(actor);
                json_line(&mut self.line, actor, verdict, bucket)?;
            }
            _ if self.prints_values => {
                let shown = match (verdict.variant, verdict.value) {
                    (None, _) => String::new(),
                    (Some(_), Some(value)) => value::text(value)?,
                    // Somebody has taken it away meanwhile.
                    (Some(variant), None) => {
                        return Err(value::missing(self.experiment, variant));
                    }
                };
                tsv_line(&mut self.line, actor, &shown);
            }
            _ => tsv_line(&mut self.line, actor, verdict.variant.unwrap_or_default()),
        }
        self.writer.write_all(self.line.as_bytes()).context(FAILED)
    }

    /// Has the reader see what was written.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.writer.flush().context(FAILED)
    }
}

/// A line of JSON. It is written by hand, as there are many; this says what is in it.
#[derive(Serialize, JsonSchema)]
pub(in crate::commands) struct Line {
    /// Who is assigned.
    actor: String,
    /// The variant; `null` for who is refused.
    variant: Option<String>,
    /// What the variant stands for, if it has a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// The rule that decided.
    reason: AssignmentReason,
    /// The actor's bucket.
    bucket: u64,
}

fn tsv_line(line: &mut String, actor: &str, shown: &str) {
    tsv::field(line, actor);
    line.push('\t');
    tsv::field(line, shown);
    line.push('\n');
}

fn json_line(
    line: &mut String,
    actor: &str,
    verdict: &Verdict<'_>,
    bucket: u64,
) -> anyhow::Result<()> {
    use std::fmt::Write as _;
    line.push_str("{\"actor\":");
    json::string(line, actor);
    line.push_str(",\"variant\":");
    match verdict.variant {
        Some(variant) => json::string(line, variant),
        None => line.push_str("null"),
    }
    if let Some(value) = verdict.value {
        line.push_str(",\"value\":");
        line.push_str(json::safe_line(value)?.trim_end());
    }
    writeln!(
        line,
        ",\"reason\":\"{}\",\"bucket\":{bucket}}}",
        verdict.reason.as_str()
    )?;
    Ok(())
}
