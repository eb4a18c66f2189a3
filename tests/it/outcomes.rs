//! Outcomes in files that people have, and in files that nobody should have: what they add up to, or the sentence
//! that says what is wrong.

use std::error::Error as _;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use experiments::metric::{MetricKind, Population, Window};
use experiments::results::{
    ColumnNames, Exclusion, Member, Members, OutcomesError, Reading, Totals,
};
use experiments::rows::{Format, RowsError};
use experiments::store::SqlValue;
use experiments::{
    Clock, ExperimentStore, ExposureRecord, InMemoryExperimentStore, MetricConfig, Outcome,
};

use crate::givens::{record, running};

const START: u64 = 1_700_000_000;

/// Actors `user:0` to `user:2`, assigned at once.
fn members() -> Members {
    let mut members = Members::default();
    for number in 0..3_u16 {
        let member = Member {
            variant: number % 2,
            period: 0,
            assigned_at_secs: START,
            exposed_at_secs: u64::MAX,
        };
        members.push(&format!("user:{number}"), member);
    }
    members
}

fn revenue() -> MetricConfig {
    MetricConfig::new("revenue", MetricKind::Mean)
}

/// Reads with these metrics and this column to tell actors apart by.
fn read_with(
    text: &[u8],
    format: Format,
    metrics: &[MetricConfig],
    by: Option<&str>,
) -> Result<Totals, OutcomesError> {
    let members = members();
    let columns = ColumnNames {
        by,
        ..ColumnNames::default()
    };
    let reading = Reading {
        columns,
        ..reading(&members, metrics)
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outcomes");
    fs::write(&path, text).unwrap();
    reading.read_text(File::open(path).unwrap(), format)
}

fn reading<'a>(members: &'a Members, metrics: &'a [MetricConfig]) -> Reading<'a> {
    Reading {
        members,
        metrics,
        population: Population::Assigned,
        columns: ColumnNames::default(),
        now_secs: START + 1000,
        to_secs: START + 1000,
        until_latest: true,
    }
}

fn read(text: &str) -> Totals {
    read_with(text.as_bytes(), Format::Csv, &[revenue()], None).unwrap()
}

fn refused(text: &[u8]) -> String {
    let refused = read_with(text, Format::Csv, &[revenue()], None);
    refused.unwrap_err().to_string()
}

/// The sentences about broken rows, each with its line.
fn broken(totals: &Totals) -> Vec<String> {
    let rows = totals.broken.iter();
    rows.map(|row| format!("{}: {}", row.line, row.problem))
        .collect()
}

fn revenues(totals: &Totals) -> &[f64] {
    &totals.metrics[0].values
}

#[test]
fn a_store_says_who_is_in_and_since_when() {
    let store = InMemoryExperimentStore::new();
    let at = |secs| store.clone().with_clock(Clock::Fixed(secs));
    let expose = |actor: &str, variant: &str, is_override, secs| {
        let exposure = ExposureRecord {
            experiment: "e".to_owned(),
            variant: variant.to_owned(),
            actor: actor.to_owned(),
            request_id: None,
            is_override,
            timestamp_secs: secs,
        };
        store.record_exposure(&exposure).unwrap();
    };
    let config = running("e");
    at(5).insert(config.clone()).unwrap();
    for (actor, variant, is_override, secs) in [
        ("plain", "b", false, 10),
        ("mixed", "a", false, 11),
        ("pinned", "a", true, 12),
        ("shown", "a", false, 13),
    ] {
        record(&at(secs), "e", actor, variant, is_override).unwrap();
    }
    at(20)
        .set_variants("e", config.variants.clone(), None)
        .unwrap();
    expose("plain", "b", false, 30);
    expose("plain", "b", false, 25);
    // Of three exposures to two variants the second variant's first one is the second of all.
    expose("mixed", "a", false, 40);
    expose("mixed", "b", false, 31);
    expose("mixed", "b", false, 35);
    expose("mixed", "a", false, 33);
    expose("shown", "b", true, 50);
    expose("shown", "a", false, 45);
    expose("stranger", "a", false, 60);

    let members = Members::load(&store, &config).unwrap();
    let number = |actor| members.number(actor).unwrap();
    let member = |actor| members.members[number(actor) as usize];
    let assigned = |variant, assigned_at_secs, exposed_at_secs| Member {
        variant,
        period: 0,
        assigned_at_secs,
        exposed_at_secs,
    };
    assert_eq!(member("plain"), assigned(1, 10, 25));
    assert_eq!(member("mixed"), assigned(0, 11, 31));
    assert_eq!(member("pinned"), assigned(0, 12, u64::MAX));
    assert_eq!(member("shown"), assigned(0, 13, 45));
    assert_eq!(members.members.len(), 4);
    assert_eq!(members.number("stranger"), None);

    let excluded = |overridden_since, mixed_since| Exclusion {
        overridden_since,
        mixed_since,
    };
    let expected = [
        ("mixed", excluded(u64::MAX, 33)),
        ("pinned", excluded(12, u64::MAX)),
        ("shown", excluded(50, 50)),
    ];
    let expected = expected.map(|(actor, exclusion)| (number(actor), exclusion));
    assert_eq!(members.exclusions, expected.into_iter().collect());
}

#[test]
fn rows_of_an_actor_are_added() {
    let totals = read(
        "actor,timestamp,revenue\nuser:1,1700000001,2.5\nuser:0,1700000002,-1\nuser:1,1700000003,4\n\
         user:2,1700000004,\n",
    );
    assert_eq!(revenues(&totals), [-1.0, 6.5, 0.0]);
    assert_eq!(totals.metrics[0].seen, [true, true, false]);
    assert_eq!((totals.rows, totals.broken_rows), (4, 0));
    assert_eq!(totals.latest_secs, Some(START + 4));
    assert_eq!(totals.to_secs, START + 4);
}

#[test]
fn without_times_every_row_counts_and_windows_are_refused() {
    let text = "revenue,actor\n5,user:0\n";
    let totals = read(text);
    assert_eq!(revenues(&totals), [5.0, 0.0, 0.0]);
    assert!(!totals.timed);
    assert_eq!((totals.latest_secs, totals.to_secs), (None, START + 1000));

    let windowed = MetricConfig {
        window: Window::of_secs(60),
        ..revenue()
    };
    let metrics = [windowed];
    let refused = read_with(text.as_bytes(), Format::Csv, &metrics, None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "metric 'revenue' has a window, but there is no column 'timestamp' with times"
    );
    let refused = read_with(b"{\"actor\": \"a\"}", Format::JsonLines, &metrics, None).unwrap_err();
    assert!(matches!(refused, OutcomesError::WindowWithoutTimes { .. }));
}

#[test]
fn what_cannot_be_read_at_all_is_refused_with_a_sentence() {
    let open_quote = "actor,revenue\n\"user:0\",1\n\n\"user:1,2\nuser:2,3\n";
    let utf_16: Vec<u8> = "actor,revenue"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut long = b"actor,revenue\nuser:0,1\n".to_vec();
    long.resize(17 << 20, b'x');
    let cases: [(&[u8], &str); 9] = [
        (b"", "the input is empty"),
        (b"\n\n", "the input is empty"),
        (b"user,revenue\nuser:0,1\n", "there is no column 'actor'"),
        (b"actor,revenu\n", "there is no column 'revenue'"),
        (
            b"actor,revenue,revenue\n",
            "there are two columns 'revenue'",
        ),
        (
            open_quote.as_bytes(),
            "line 4: a quote is opened but never closed",
        ),
        (&utf_16, "line 1 is not UTF-8 text"),
        (b"actor,\xff,revenue\n", "line 1 is not UTF-8 text"),
        (&long, "line 3 is longer than 16 MiB"),
    ];
    for (text, sentence) in cases {
        assert_eq!(refused(text), sentence);
    }
    let missing = read_with(b"actor,Revenue\n", Format::Csv, &[revenue()], None);
    assert!(matches!(
        missing,
        Err(OutcomesError::MissingColumn { nearest: Some(nearest), .. }) if nearest == "Revenue"
    ));
    let objects = b"{\"actor\": \"user:0\", \"revenu\": 1}\n";
    let missing = read_with(objects, Format::JsonLines, &[revenue()], None);
    assert!(matches!(
        missing,
        Err(OutcomesError::MissingColumn { column, nearest: Some(nearest) })
            if column == "revenue" && nearest == "revenu"
    ));
}

#[test]
fn a_directory_is_no_file() {
    let members = members();
    let metrics = [revenue()];
    let directory = tempfile::tempdir().unwrap();
    let input = File::open(directory.path()).unwrap();
    let refused = reading(&members, &metrics).read_text(input, Format::Csv);
    let Err(OutcomesError::Rows(RowsError::Read(error))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::IsADirectory);
    assert!(error.source().is_none());
}

#[test]
fn no_rows_are_no_outcomes() {
    for text in ["actor,timestamp,revenue", "actor,timestamp,revenue\r\n\r\n"] {
        let totals = read(text);
        assert_eq!((totals.rows, totals.latest_secs), (0, None));
        assert_eq!(revenues(&totals), [0.0; 3]);
        assert_eq!(totals.metrics[0].seen, [false; 3]);
    }
}

#[test]
fn a_row_that_cannot_be_read_is_told_with_its_line_and_counts_for_nothing() {
    let text = b"actor,timestamp,revenue\n\
        user:0,1700000001,NaN\n\
        user:0,1700000001,inf\n\
        user:0,1700000001,12 EUR\n\
        user:0,1700000001\n\
        user:0,1700000001,1,2\n\
        user:0,yesterday,1\n\
        user:0,,1\n\
        ,1700000001,1\n\
        user:0,1700000001000000,1\n\
        us\xffer,1700000001,1\n\
        user:0\0,1700000001,1\n\
        user:0,1700000001,1e400\n\
        user:0,1700000001,8\n";
    let totals = read_with(text, Format::Csv, &[revenue()], None).unwrap();
    let expected = [
        "2: revenue is 'NaN': not a finite number",
        "3: revenue is 'inf': not a finite number",
        "4: revenue is '12 EUR': not a number",
        "5: 2 fields, but the header has 3",
        "6: 4 fields, but the header has 3",
        "7: timestamp is 'yesterday': neither Unix seconds nor a time such as 2026-11-28T10:00:00Z",
        "8: timestamp is empty",
        "9: actor is empty",
        "10: timestamp is '1700000001000000': too large for a time in seconds or milliseconds",
        "11: actor is not UTF-8 text",
        "12: actor has a NUL byte",
        "13: revenue is '1e400': not a finite number",
    ];
    assert_eq!(broken(&totals), expected);
    assert_eq!(totals.broken_rows, 12);
    assert_eq!(revenues(&totals), [8.0, 0.0, 0.0]);
}

#[test]
fn of_many_broken_rows_the_first_are_told() {
    let mut text = String::from("actor,timestamp,revenue\n");
    // More than fits into one block, so that both threads meet some.
    for _ in 0..200_000 {
        text += "user:0,1700000001,x\n";
    }
    let totals = read(&text);
    assert_eq!(totals.broken_rows, 200_000);
    let lines: Vec<u64> = totals.broken.iter().map(|row| row.line).collect();
    assert_eq!(lines, (2..22).collect::<Vec<u64>>());
}

#[test]
fn what_a_later_look_finds_broken_is_told_in_its_place() {
    let mut text = String::from("actor,revenue\nuser:0\0,1\n");
    for _ in 0..30 {
        text += "user:0,x\n";
    }
    let totals = read(&text);
    let lines: Vec<u64> = totals.broken.iter().map(|row| row.line).collect();
    assert_eq!(lines, (2..22).collect::<Vec<u64>>());
    assert_eq!(totals.broken_rows, 31);
}

/// Sums depend on the order in which they are made, and that on the rows alone.
#[test]
fn the_same_rows_give_the_same_bits() {
    let mut text = String::from("actor,revenue\n");
    for number in 1..300_000_u32 {
        let value = f64::from(number) * 1.1e-3;
        let _ = writeln!(text, "user:{},{value}", number % 3);
    }
    let members = members();
    let metrics = [revenue()];
    let once = reading(&members, &metrics).read_text(text.as_bytes(), Format::Csv);
    let once = once.unwrap();
    assert_eq!(once.rows, 299_999);
    let pieces = text.as_bytes().chunks(70_001);
    let pieces = pieces.fold(Box::new(std::io::empty()) as Box<dyn Read>, |all, piece| {
        Box::new(all.chain(piece))
    });
    let again = reading(&members, &metrics).read_text(pieces, Format::Csv);
    let bits = |totals: &Totals| -> Vec<u64> {
        let values = totals.metrics[0].values.iter();
        values.map(|value| value.to_bits()).collect()
    };
    assert_eq!(bits(&again.unwrap()), bits(&once));
}

#[test]
fn numbers_near_the_largest_one_are_numbers() {
    let totals = read(
        "actor,revenue\nuser:0,1e308\nuser:1,1.5e308\nuser:1,1.5e308\nuser:2,-1e308\nuser:2,1e308\n",
    );
    assert_eq!(revenues(&totals), [1e308, f64::INFINITY, 0.0]);
    assert_eq!(totals.broken_rows, 0);
}

#[test]
fn line_ends_quotes_and_marks_are_as_in_any_csv() {
    let texts = [
        "\u{feff}actor,timestamp,revenue\nuser:0,1700000001,1\nuser:1,1700000002,2",
        "actor,timestamp,revenue\r\nuser:0,1700000001,1\r\nuser:1,1700000002,2\r\n",
        "actor,timestamp,revenue\ruser:0,1700000001,1\ruser:1,1700000002,2\r",
        "\"actor\",\"note\"\"\n\",timestamp,revenue\n\"user:0\",\"a\n,\"\"b\",1700000001,\"1\"\n\n\
         user:1,,1700000002,2\n",
        "actor,timestamp,revenue\nuser:0,2023-11-14T22:13:21Z,1\nuser:1,1700000002.9, 2 \n",
    ];
    for text in texts {
        let totals = read(text);
        assert_eq!(revenues(&totals), [1.0, 2.0, 0.0], "{text}");
        assert_eq!((totals.rows, totals.broken_rows), (2, 0), "{text}");
        assert_eq!(totals.latest_secs, Some(START + 2), "{text}");
    }
}

#[test]
fn milliseconds_are_told_and_refused_beside_seconds() {
    let totals = read("actor,timestamp,revenue\nuser:0,1700000001500,1\n");
    assert!(totals.milliseconds);
    assert_eq!(totals.latest_secs, Some(START + 1));
    assert_eq!(revenues(&totals), [1.0, 0.0, 0.0]);
    assert!(!read("actor,timestamp,revenue\nuser:0,1700000001,1\n").milliseconds);

    let mixed =
        "actor,timestamp,revenue\nx,2023-11-14T22:13:21Z,1\nx,1700000001,1\nx,1700000001500,1\n";
    assert_eq!(
        refused(mixed.as_bytes()),
        "times are in seconds in line 3, but in milliseconds in line 4"
    );
}

#[test]
fn rows_before_the_start_and_after_the_end_do_not_count() {
    let late = START + 2000;
    let text = format!(
        "actor,timestamp,revenue\nuser:0,1699999999,1\nuser:0,-5,1\nuser:0,1700000000,2\nuser:0,1700001000,4\n\
         user:0,{late},8\nx,{late},16\n"
    );
    let totals = read(&text);
    assert_eq!(revenues(&totals), [6.0, 0.0, 0.0]);
    assert_eq!((totals.before_start, totals.after_end), (2, 1));
    assert_eq!((totals.in_future, totals.unknown_actors), (2, 1));
    assert_eq!(
        (totals.latest_secs, totals.to_secs),
        (Some(late), START + 1000)
    );
}

#[test]
fn blanks_around_an_id_make_it_another_and_are_told() {
    let text = "actor,revenue\n user:0,1\nuser:1\u{a0},2\nuser:2,4\n x ,8\n";
    let totals = read(text);
    assert_eq!(revenues(&totals), [0.0, 0.0, 4.0]);
    assert_eq!((totals.unknown_actors, totals.blank_ids), (3, 2));
}

#[test]
fn a_million_columns_are_columns() {
    let names: Vec<String> = (0..1_000_000).map(|n| format!("c{n}")).collect();
    let header = format!("actor,{},revenue\n", names.join(","));
    let row = format!("user:0{},7\n", ",".repeat(1_000_000));
    let totals = read(&(header + &row + "user:0,1\n"));
    assert_eq!(revenues(&totals), [7.0, 0.0, 0.0]);
    assert_eq!(broken(&totals), ["3: 2 fields, but the header has 1000002"]);
}

#[test]
fn an_actor_has_one_covariate() {
    let metrics = [
        MetricConfig {
            covariate: Some("before".to_owned()),
            ..revenue()
        },
        MetricConfig::new("before", MetricKind::Mean),
    ];
    let text = b"actor,timestamp,revenue,before\n\
        user:0,1600000000,1,5\n\
        user:0,1700000001,2,\n\
        user:0,1700000001,4,5.0\n\
        user:0,1700000001,8,6\n\
        user:1,1700000001,16,\n\
        x,1700000001,16,1\n";
    let totals = read_with(text, Format::Csv, &metrics, None).unwrap();
    let [known, unknown, other] = &*totals.metrics[0].covariates else {
        panic!("there are three actors");
    };
    assert_eq!(known.to_bits(), 5_f64.to_bits());
    assert!(unknown.is_nan() && other.is_nan());
    assert_eq!(revenues(&totals), [6.0, 16.0, 0.0]);
    assert_eq!(
        broken(&totals),
        ["5: before is 6, but 5 in an earlier row of this actor"]
    );
    assert_eq!((totals.before_start, totals.unknown_actors), (1, 1));
}

#[test]
fn actors_are_told_apart_by_their_first_value() {
    let text = b"actor,timestamp,revenue,country\n\
        user:2,1600000000,1,IS\n\
        user:0,1700000001,1,\n\
        user:0,1700000001,1,DE\n\
        user:0,1700000001,1,IS\n\
        x,1700000001,1,FR\n";
    let totals = read_with(text, Format::Csv, &[revenue()], Some("country")).unwrap();
    let by = totals.by.unwrap();
    assert_eq!(
        (&*by.column, &*by.values),
        ("country", &["IS".to_owned(), "DE".to_owned()][..])
    );
    assert_eq!(by.of_actor, [1, u32::MAX, 0]);

    let mut members = Members::default();
    let mut text = String::from("actor,revenue\n");
    for number in 0..1001 {
        let member = Member {
            variant: 0,
            period: 0,
            assigned_at_secs: START,
            exposed_at_secs: START,
        };
        members.push(&number.to_string(), member);
        let _ = writeln!(text, "{number},{number}");
    }
    let metrics = [revenue()];
    let mut reading = reading(&members, &metrics);
    reading.columns.by = Some("revenue");
    let refused = reading.read_text(text.as_bytes(), Format::Csv).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "column 'revenue' has more than 1000 values"
    );
    let last = text.rfind("1000,").unwrap();
    let totals = reading.read_text(&text.as_bytes()[..last], Format::Csv);
    assert_eq!(totals.unwrap().by.unwrap().values.len(), 1000);
}

#[test]
fn other_names_of_columns_must_be_there() {
    let members = members();
    let metrics = [revenue()];
    let columns = ColumnNames {
        actor: Some("user id"),
        time: Some("ts"),
        by: None,
    };
    let reading = Reading {
        columns,
        ..reading(&members, &metrics)
    };
    let text = "ts,user id,actor,timestamp,revenue\n1700000001,user:1,user:0,x,3\n";
    let totals = reading.read_text(text.as_bytes(), Format::Csv).unwrap();
    assert_eq!(revenues(&totals), [0.0, 3.0, 0.0]);
    let refused = reading.read_text(&b"user id,timestamp,revenue\n"[..], Format::Csv);
    assert_eq!(refused.unwrap_err().to_string(), "there is no column 'ts'");
}

#[test]
fn objects_are_rows() {
    let text = b"{\"actor\": \"user:0\", \"timestamp\": 1700000001, \"revenue\": 1.5, \"more\": {\"x\": [1]}}\n\
        \n\
        {\"revenue\": \"2\", \"timestamp\": \"2023-11-14T22:13:22Z\", \"actor\": \"user:1\"}\r\n\
        {\"actor\": \"user:2\", \"timestamp\": 1700000003}\n\
        {\"actor\": \"user:2\", \"timestamp\": 1700000003, \"revenue\": null}\n\
        {\"actor\": \"user:2\", \"timestamp\": 1700000003, \"revenue\": true}\n\
        {\"actor\": \"user:2\", \"revenue\": 1}\n\
        {\"actor\": \"user:2\", \"timestamp\": 1700000003, \"revenue\": [1]}\n\
        {\"actor\": \"user:2\", \"timestamp\": 1700000003, \"revenue\": 1, \"revenue\": 1}\n\
        {\"actor\": {}, \"timestamp\": 1700000003, \"revenue\": 1}\n\
        {\"actor\": \"user:2\"";
    let totals = read_with(text, Format::JsonLines, &[revenue()], None).unwrap();
    assert_eq!(revenues(&totals), [1.5, 2.0, 1.0]);
    let expected = [
        "7: timestamp is empty",
        "8: revenue is neither a number nor text",
        "9: revenue appears twice",
        "10: actor is neither a number nor text",
        "11: not a JSON object: EOF while parsing an object in column 18",
    ];
    assert_eq!(broken(&totals), expected);

    let text =
        b"{\"actor\": 7, \"revenue\": 1}\n{\"actor\": 7, \"revenue\": 1, \"timestamp\": 5}\n";
    let totals = read_with(text, Format::JsonLines, &[revenue()], None).unwrap();
    assert_eq!((totals.unknown_actors, totals.timed), (1, false));
    assert_eq!(
        broken(&totals),
        ["2: timestamp is present, but not in the first row"]
    );
}

#[test]
fn kept_outcomes_and_the_rows_of_a_query_count_as_those_of_files() {
    let store = InMemoryExperimentStore::new();
    let outcome = |actor: &str, metric: &str, value: u32, timestamp_secs| Outcome {
        actor: actor.to_owned(),
        metric: metric.to_owned(),
        value: value.into(),
        timestamp_secs,
        id: None,
    };
    let outcomes = [
        outcome("user:0", "revenue", 3, START),
        outcome("user:0", "revenue", 4, START + 1),
        outcome("user:0", "clicks", 9, START + 1),
        outcome("user:1", "bought", 1, START + 2),
        outcome("user:1", "revenue", 1, START - 1),
        outcome("nobody", "revenue", 1, START),
    ];
    store.track(&outcomes).unwrap();
    let members = members();
    let metrics = [
        revenue(),
        MetricConfig::new("bought", MetricKind::Conversion),
    ];
    let reading = reading(&members, &metrics);
    let kept = reading.read_kept(&store).unwrap();
    assert_eq!(revenues(&kept), [7.0, 0.0, 0.0]);
    assert_eq!(kept.metrics[1].values, [0.0, 1.0, 0.0]);
    assert_eq!(kept.metrics[1].seen, [false, true, false]);
    assert_eq!(
        (kept.rows, kept.unknown_actors, kept.before_start),
        (5, 1, 1)
    );

    let columns = ["bought", "timestamp", "revenue", "actor"].map(str::to_owned);
    let queried = reading.read_query(|sink| {
        sink.columns(&columns)?;
        for outcome in outcomes.iter().filter(|outcome| outcome.metric != "clicks") {
            let value = SqlValue::Real(outcome.value.get());
            let of = |metric| {
                if outcome.metric == metric {
                    value
                } else {
                    SqlValue::Null
                }
            };
            let time = SqlValue::Integer(outcome.timestamp_secs.try_into().unwrap());
            let actor = SqlValue::Text(&outcome.actor);
            sink.row(&[of("bought"), time, of("revenue"), actor])?;
        }
        Ok(())
    });
    assert_eq!(queried.unwrap(), kept);
}

#[test]
fn formats_are_told_by_extension() {
    let told = [
        ("a.csv", Some(Format::Csv)),
        ("a.b.TSV", Some(Format::Tsv)),
        ("a.tab", Some(Format::Tsv)),
        ("a.jsonl", Some(Format::JsonLines)),
        ("a.ndjson", Some(Format::JsonLines)),
        ("a.json", None),
        ("csv", None),
        ("a.csv.gz", None),
    ];
    for (name, format) in told {
        assert_eq!(Format::of_path(Path::new(name)), format, "{name}");
    }
}
