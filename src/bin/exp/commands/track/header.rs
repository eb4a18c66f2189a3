//! What the columns of a file of outcomes mean, by their names, and which names look like slips.

use std::collections::HashSet;

use experiments::results::OutcomesError;
use experiments::suggest::nearest;

/// Where the columns are.
#[derive(Default)]
pub(super) struct Columns {
    /// How many there are.
    pub(super) known: usize,
    pub(super) actor: Option<usize>,
    pub(super) metric: Option<usize>,
    pub(super) value: Option<usize>,
    pub(super) time: Option<usize>,
    pub(super) id: Option<usize>,
    /// Those of which each is a metric; none where a column names it.
    pub(super) metrics: Vec<usize>,
    /// Those that mean nothing.
    pub(super) ignored: Vec<String>,
    /// Those whose names are like another's.
    alike: Vec<Alike>,
    /// What a header must not lack.
    missing: Option<OutcomesError>,
}

/// A column that is named like one with a meaning.
struct Alike {
    place: usize,
    column: String,
    meant: &'static str,
}

impl Columns {
    pub(super) fn find(names: &[String]) -> Result<Self, OutcomesError> {
        let mut columns = Self {
            known: names.len(),
            ..Self::default()
        };
        let mut seen = HashSet::new();
        let mut others = Vec::new();
        for (place, name) in names.iter().enumerate() {
            if !seen.insert(name) {
                return Err(OutcomesError::DuplicateColumn(name.clone()));
            }
            match name.as_str() {
                "actor" => columns.actor = Some(place),
                "metric" => columns.metric = Some(place),
                "value" => columns.value = Some(place),
                "timestamp" => columns.time = Some(place),
                "id" => columns.id = Some(place),
                _ => others.push(place),
            }
        }
        let missing = if columns.actor.is_none() {
            Some("actor")
        } else if columns.metric.is_none() && (others.is_empty() || columns.value.is_some()) {
            Some("metric")
        } else {
            None
        };
        columns.missing = missing.map(|missing| OutcomesError::MissingColumn {
            column: missing.to_owned(),
            nearest: nearest(missing, names.iter().map(String::as_str)).map(str::to_owned),
        });
        let is_long = columns.metric.is_some();
        let alike = others.iter().filter_map(|&place| {
            let column = names[place].clone();
            let meant = meant(&column, is_long)?;
            Some(Alike {
                place,
                column,
                meant,
            })
        });
        columns.alike = alike.collect();
        if is_long {
            let ignored = others.iter().map(|&place| names[place].clone());
            columns.ignored = ignored.collect();
        } else {
            columns.metrics = others;
        }
        Ok(columns)
    }

    /// Refuses a header without an actor, without anything that counts, or with a slip in it.
    pub(super) fn require(&mut self) -> Result<(), OutcomesError> {
        if let Some(missing) = self.missing.take() {
            return Err(missing);
        }
        let slip = self.slip(|place| place.is_some());
        slip.map_or(Ok(()), Err)?;
        // A row that leaves a column empty that is there means it.
        self.alike.clear();
        Ok(())
    }

    /// The first column that is there and is named like one that is not.
    pub(super) fn slip(&self, is_there: impl Fn(Option<usize>) -> bool) -> Option<OutcomesError> {
        let mut alike = self.alike.iter();
        let slip = alike.find(|alike| {
            let meant = match alike.meant {
                "metric" => self.metric,
                "value" => self.value,
                "timestamp" => self.time,
                _ => self.id,
            };
            is_there(Some(alike.place)) && !is_there(meant)
        })?;
        Some(OutcomesError::MisnamedColumn {
            column: slip.column.clone(),
            meant: slip.meant,
        })
    }
}

/// The column that one of this name was probably meant to be. With a column for each metric, few names are a slip: most
/// can be a metric.
fn meant(column: &str, is_long: bool) -> Option<&'static str> {
    let letters = letters(column);
    if is_like_a_time(&letters) {
        Some("timestamp")
    } else if letters == "id" {
        Some("id")
    } else if letters == "metric" {
        Some("metric")
    } else if is_long && is_like_a_value(&letters) {
        Some("value")
    } else {
        None
    }
}

/// A name in lower case and without what separates its words, so that `createdAt` is `created_at`.
fn letters(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Names that other programs give to the time of an event.
const TIMES: &[&str] = &[
    "at",
    "createdat",
    "date",
    "datetime",
    "eventdate",
    "eventtime",
    "happenedat",
    "insertedat",
    "occurredat",
    "occurredon",
    "recordedat",
    "time",
    "timestampms",
    "timestampsecs",
    "timestampseconds",
    "timestamputc",
    "trackedat",
    "ts",
    "unixtime",
    "updatedat",
    "when",
];

fn is_like_a_time(letters: &str) -> bool {
    TIMES.contains(&letters) || strsim::osa_distance(letters, "timestamp") <= 2
}

/// Names of a number that an outcome counts.
const VALUES: &[&str] = &[
    "amount", "count", "number", "price", "qty", "quantity", "sum", "total", "val",
];

fn is_like_a_value(letters: &str) -> bool {
    VALUES.contains(&letters) || strsim::osa_distance(letters, "value") <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slip in a header, as `found → meant`, or what each column is.
    fn found(header: &str) -> String {
        let names: Vec<String> = header.split(',').map(str::to_owned).collect();
        let mut columns = Columns::find(&names).unwrap();
        match columns.require() {
            Err(OutcomesError::MisnamedColumn { column, meant }) => format!("{column} → {meant}"),
            Err(other) => panic!("{header}: {other}"),
            Ok(()) => {
                let metrics = columns.metrics.iter().map(|&place| &*names[place]);
                let metrics: Vec<&str> = metrics.collect();
                format!(
                    "metrics {}; ignored {}",
                    metrics.join(" "),
                    columns.ignored.join(" ")
                )
            }
        }
    }

    #[test]
    fn slips_are_found() {
        for (header, slip) in [
            ("actor,metric,valu", "valu → value"),
            ("actor,metric,Value", "Value → value"),
            ("actor,metric,amount", "amount → value"),
            ("actor,metric,value,ts", "ts → timestamp"),
            (
                "actor,metric,value,timestamp_secs,id",
                "timestamp_secs → timestamp",
            ),
            ("actor,metric,value,ID", "ID → id"),
            ("actor,time,rev", "time → timestamp"),
            ("actor,createdAt,rev", "createdAt → timestamp"),
            ("actor,rev,timestmp", "timestmp → timestamp"),
            ("actor,Metric,revenue", "Metric → metric"),
        ] {
            assert_eq!(found(header), slip, "{header}");
        }
    }

    #[test]
    fn what_can_be_meant_is_no_slip() {
        for (header, columns) in [
            (
                "actor,total,count,price,amount,valu",
                "metrics total count price amount valu; ignored ",
            ),
            (
                "actor,time_on_page,looked_at,dates,overtime,visits,ids",
                "metrics time_on_page looked_at dates overtime visits ids; ignored ",
            ),
            // It is known when it was.
            (
                "actor,timestamp,time,revenue",
                "metrics time revenue; ignored ",
            ),
            (
                "actor,metric,value,amount,country,order_id",
                "metrics ; ignored amount country order_id",
            ),
        ] {
            assert_eq!(found(header), columns, "{header}");
        }
    }
}
