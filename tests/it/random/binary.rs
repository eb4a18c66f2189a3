//! The real binary, with a file.

use std::io::Write as _;
use std::process::Stdio;

use experiments::{Clock, SqliteExperimentStore};
use proptest::collection::vec;
use proptest::prelude::prop_assert_eq;
use serde_json::Value;

use super::commands::{ACTORS, command};
use super::held::agree;
use super::{BEGIN, try_cases};
use crate::model::{Answer, Command, Draft, Model};
use crate::sandbox::Sandbox;

#[test]
fn the_binary_agrees_with_the_model() {
    try_cases(6, &vec(command(), 1..80), |commands| {
        let sandbox = Sandbox::new();
        let mut model = Model::at(BEGIN);
        let store = SqliteExperimentStore::open_or_create(sandbox.default_store()).unwrap();
        for command in &commands {
            let seen = match command {
                Command::Wait(_) => Ok(None),
                command => seen(&sandbox, model.now, command),
            };
            // All that keeps an actor out is one exit code.
            let expected = model.run(command).map_err(|code| code % 100);
            prop_assert_eq!(seen, expected, "{:?}", command);
        }
        let store = store.with_clock(Clock::Fixed(model.now));
        agree(&store, &ACTORS, &model)
    });
}

fn words(now: u64, command: &Command) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    match command {
        Command::Create { name, draft, start } => create(name, draft, *start),
        Command::Start(name) => own(&["start", name]),
        Command::Pause(name) => own(&["pause", name]),
        Command::Conclude(name, winner) => own(&["conclude", name, winner]),
        Command::Archive(name) => own(&["archive", name]),
        Command::Delete(name) => own(&["delete", name]),
        Command::Rename(name, to) => own(&["rename", name, to]),
        Command::SetWeights(name, variants) => {
            let variants = variants.iter().map(variant);
            let command: Vec<String> = own(&["set-weights", name]);
            command.into_iter().chain(variants).collect()
        }
        Command::SetCoverage(name, coverage) => own(&["set-coverage", name, &share(*coverage)]),
        Command::SetEnrolling(name, true) => own(&["open", name]),
        Command::SetEnrolling(name, false) => own(&["close", name]),
        Command::SetOverride {
            name,
            actor,
            variant,
            lasts,
            reason,
        } => {
            let mut words: Vec<String> = own(&["override", name, actor, variant]);
            words.extend(lasts.map(|lasts| format!("--expires={}", now + lasts)));
            words.extend(reason.as_ref().map(|reason| format!("--reason={reason}")));
            words
        }
        Command::ClearOverride(name, actor) => own(&["override", name, actor, "--clear"]),
        Command::Unassign(name, _) => own(&["unassign", name, "--actors", "-"]),
        Command::Assign(name, actor) => own(&["assign", name, actor]),
        Command::Preview(name, actor) => own(&["assign", name, actor, "--preview"]),
        other => panic!("no command does that: {other:?}"),
    }
}

fn create(name: &str, draft: &Draft, start: bool) -> Vec<String> {
    let entry = &draft.entry;
    let mut words = vec!["create".to_owned(), name.to_owned()];
    words.extend(draft.variants.iter().map(variant));
    words.extend(draft.group.iter().map(|group| format!("--group={group}")));
    words.extend(entry.salt.iter().map(|salt| format!("--salt={salt}")));
    words.push(format!("--coverage={}", share(entry.coverage)));
    words.extend((!entry.enrolling).then(|| "--closed".to_owned()));
    let values = draft.values.iter();
    words.extend(values.map(|(variant, value)| format!("--value={variant}={value}")));
    words.extend(start.then(|| "--start".to_owned()));
    words
}

fn variant((name, weight): &(String, u32)) -> String {
    format!("--variant={name}={weight}")
}

fn share(coverage: u64) -> String {
    match coverage {
        10_000 => "100%".to_owned(),
        coverage => format!("0.{coverage:04}"),
    }
}

fn seen(sandbox: &Sandbox, now: u64, command: &Command) -> Answer {
    let words = words(now, command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut running = sandbox
        .exp(&words)
        .args(["--format", "json"])
        .env("EXP_NOW", now.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = running.stdin.take().unwrap();
    if let Command::Unassign(_, actors) = command {
        // One that is refused does not read it.
        input.write_all(actors.join("\n").as_bytes()).ok();
    }
    drop(input);
    let output = running.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(u8::try_from(output.status.code().unwrap()).unwrap());
    }
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |field| {
        json.get(field)
            .map(|text| text.as_str().unwrap().to_owned())
    };
    Ok(match command {
        Command::Assign(..) | Command::Preview(..) => {
            let value = json.get("value").filter(|value| !value.is_null());
            let value = value.map(|value| format!(" {value}")).unwrap_or_default();
            let both = text("variant").zip(text("reason"));
            both.map(|(variant, reason)| format!("{variant} {reason}{value}"))
        }
        Command::Unassign(..) => Some(format!(
            "{} assignments, {} exposures",
            json["assignments"], json["exposures"]
        )),
        _ => text("mutation"),
    })
}
