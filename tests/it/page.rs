//! The page that `exp results --html` writes, as a browser shows it: on a phone and on a desk, light and dark.

use std::path::{Path, PathBuf};

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::chromium::{Chromium, Screen};
use crate::sandbox::{NOW, Sandbox};

const SCREENS: [Screen; 4] = [
    Screen {
        width: 390,
        scheme: "light",
    },
    Screen {
        width: 390,
        scheme: "dark",
    },
    Screen {
        width: 1280,
        scheme: "light",
    },
    Screen {
        width: 1280,
        scheme: "dark",
    },
];

/// Three variants with names that are hard to show, metrics of each kind, and weights that change.
/// Every third actor of `<b>` converts and every fifth of the others.
const SESSION: &str = r#"
set -euo pipefail
day() { export EXP_NOW=$((start + $1 * 86400)); }
start=$EXP_NOW
exp apply test.toml --yes
for d in 0 1 2 3 4 5 6 7 8 9; do
    day $d
    if [ $d = 4 ]; then exp set-weights test control=20 '<b>=40' "$long=40"; fi
    seq -f "user:$d-%g" 300 | exp assign test --actors - --expose > /dev/null
done
exp assignments test | awk -F '\t' 'BEGIN { print "actor,timestamp,bought,revenue,items,seconds,complaint" }
    { seen[$2]++; bought = seen[$2] % ($2 == "<b>" ? 3 : 5) == 0
      printf "%s,%d,%d,%d,%d,%d,%d\n", $1, $4 + 60, bought, bought * (20 + NR % 7), bought * (1 + NR % 3),
        NR % 90, (NR % 40 == 0) }' > outcomes.csv
day 20
"#;

const DECLARED: &str = r#"
[[experiment]]
name = "test"
description = "<script>alert(1)</script> & \"more\" \u202e مرحبا"
state = "running"
variants = [
  { name = "control", weight = 50 },
  { name = "<b>", weight = 25 },
  { name = "LONG", weight = 25 },
]
metrics = [
  { name = "bought", kind = "conversion", window = "3d" },
  { name = "revenue", kind = "mean", window = "3d" },
  { name = "<per> item", kind = "ratio", column = "revenue", denominator = "items" },
  { name = "seconds", kind = "quantile", better = "down" },
  { name = "complaint", kind = "conversion", window = "3d", role = "guardrail", better = "down", minimum_effect = 0.5 },
]
"#;

/// A sandbox in which the test has run, at its end.
fn tested() -> Sandbox {
    let sandbox = Sandbox::new();
    let long = "a_long_name_without_a_blank_".repeat(4);
    let declared = DECLARED.replace("LONG", &long);
    std::fs::write(sandbox.home().join("test.toml"), declared).unwrap();
    run(&sandbox, &format!("long={long}\n{SESSION}"));
    sandbox
}

fn run(sandbox: &Sandbox, line: &str) -> String {
    let output = sandbox.bash(line);
    assert!(output.status.success(), "{line}\n{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A sandbox with a test that nobody is in and nothing is measured of.
fn empty() -> Sandbox {
    let sandbox = Sandbox::new();
    run(
        &sandbox,
        "exp create test --variant control=50 --variant other=50 --start",
    );
    sandbox
}

/// The page that these arguments make, at the end of the test.
fn page(sandbox: &Sandbox, arguments: &str) -> PathBuf {
    let now = NOW + 20 * 86_400;
    run(
        sandbox,
        &format!("EXP_NOW={now} exp results test {arguments} --html page.html"),
    );
    sandbox.home().join("page.html")
}

/// What must hold of every page on every screen: nothing is loaded from elsewhere, no error is reported, nothing is
/// wider than the screen, headings are in order, and no shape or table is without a name.
fn is_sound(chromium: &mut Chromium, file: &Path) {
    for screen in SCREENS {
        let events = chromium.open(file, screen);
        let requested = events
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .map(|event| event["params"]["request"]["url"].as_str().unwrap())
            .filter(|url| !url.starts_with("data:"));
        let only = format!("file://{}", file.display());
        assert_eq!(requested.collect::<Vec<_>>(), [only.as_str()]);
        for event in &events {
            let method = event["method"].as_str().unwrap_or_default();
            let is_report = method.starts_with("Log.")
                || ["Runtime.exceptionThrown", "Runtime.consoleAPICalled"].contains(&method);
            assert!(!is_report, "{event}");
        }
        let widest = chromium.value("document.documentElement.scrollWidth");
        assert_eq!(widest, json!(screen.width), "{screen:?}");
        let dark = chromium.value("getComputedStyle(document.body).backgroundColor");
        let is_dark = dark != json!("rgb(255, 255, 255)");
        assert_eq!(is_dark, screen.scheme == "dark", "{dark}");
        // A shape that is drawn without a height or beyond the screen says nothing.
        let hidden = chromium.value(
            "[...document.querySelectorAll('h1, h2, h3, .verdicts li, svg[role=img]')].filter(e => {
                const box = e.getBoundingClientRect()
                return box.width < 20 || box.height < 16 || box.left < 0 || box.right > innerWidth
            }).map(e => e.outerHTML)",
        );
        assert_eq!(hidden, json!([]), "{screen:?}");
    }
    let levels = chromium
        .value("[...document.querySelectorAll('h1, h2, h3')].map(h => Number(h.tagName[1]))");
    let levels: Vec<u64> = serde_json::from_value(levels).unwrap();
    assert_eq!(levels[0], 1);
    assert!(
        levels
            .windows(2)
            .all(|pair| pair[1] > 1 && pair[1] <= pair[0] + 1)
    );
    let ids = chromium.value(
        "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) != i)",
    );
    assert_eq!(ids, json!([]));
    let nameless = chromium.accessible();
    let nameless = nameless.into_iter().filter(|(role, name)| {
        [
            "image",
            "table",
            "heading",
            "region",
            "rowheader",
            "columnheader",
        ]
        .contains(&&**role)
            && name.trim().is_empty()
    });
    assert_eq!(nameless.collect::<Vec<_>>(), []);
}

#[apply(needs_chromium!)]
fn everything_is_seen_on_every_screen() {
    let sandbox = tested();
    run(
        &sandbox,
        "for n in $(seq 56); do exp override test tester:$n control; done",
    );
    let file = page(&sandbox, "--outcomes outcomes.csv --final");
    let mut chromium = Chromium::start();
    is_sound(&mut chromium, &file);

    let json = run(
        &sandbox,
        &format!(
            "EXP_NOW={} exp results test --outcomes outcomes.csv --final --format json",
            NOW + 20 * 86_400
        ),
    );
    let report: Value = serde_json::from_str(&json).unwrap();
    let shown = chromium.value("document.body.innerText");
    let shown = shown.as_str().unwrap();
    for metric in report["metrics"].as_array().unwrap() {
        let sentence = metric["verdict"]["sentence"].as_str().unwrap();
        assert!(shown.contains(sentence), "{sentence}");
    }
    assert_eq!(report["metrics"][0]["verdict"]["variant"], "<b>");
    // Markup from outside is text, and what would reorder a line is spelled out.
    assert!(shown.contains(r#"<script>alert(1)</script> & "more" \u{202e} مرحبا"#));
    assert!(shown.contains("older entries are not shown"), "{shown}");

    let named = chromium.accessible();
    let images = named.iter().filter(|(role, _)| role == "image");
    let images: Vec<&str> = images.map(|(_, name)| &**name).collect();
    // Two comparisons of each of five metrics, three metrics with a window over time, and the actors by day.
    assert_eq!(images.len(), 2 * 5 + 3 + 1, "{images:#?}");
    let change = report["metrics"][0]["comparisons"][0]["relative"]["estimate"].as_f64();
    let change = format!(
        "<b> against control: {:+.1}%, between",
        change.unwrap() * 100.0
    );
    assert!(
        images.iter().any(|name| name.starts_with(&change)),
        "{change} {images:#?}"
    );
    assert!(
        images
            .iter()
            .any(|name| name.starts_with("bought, <b> against control, from"))
    );
    // Both periods of weights have three variants.
    let periods = "document.querySelectorAll('#sample-ratio-0 ~ tbody tr').length";
    assert_eq!(chromium.value(periods), json!(6));
}

#[apply(needs_chromium!)]
fn a_page_with_nothing_to_show_is_sound_too() {
    let sandbox = empty();
    let mut chromium = Chromium::start();
    is_sound(&mut chromium, &page(&sandbox, ""));
    is_sound(
        &mut chromium,
        &page(&sandbox, "--metric bought:conversion:1d"),
    );
    let shown = chromium.value("document.body.innerText").to_string();
    assert!(shown.contains("No actor was assigned."), "{shown}");
}

#[apply(needs_chromium!)]
fn no_winner_is_shown_where_the_sample_ratio_is_broken() {
    let sandbox = tested();
    run(
        &sandbox,
        "seq -f 'more:%g' 600 | exp assign test --actors - | grep -v '<b>' | cut -f 1 > some
         exp assign test --actors some --expose > /dev/null",
    );
    let mut chromium = Chromium::start();
    let arguments = "--outcomes outcomes.csv --population exposed";
    is_sound(&mut chromium, &page(&sandbox, arguments));
    let verdicts = chromium.value("document.querySelector('.verdicts').innerText");
    let verdicts = verdicts.as_str().unwrap();
    assert!(verdicts.contains("bought: no verdict"), "{verdicts}");
    assert!(!verdicts.contains("converts better"), "{verdicts}");
}

/// Whoever has the inputs can tell whether they are those of the page.
#[test]
fn the_hash_of_each_input_is_that_of_what_is_printed() {
    let sandbox = tested();
    let of = |command: &str| {
        run(
            &sandbox,
            &format!("{command} | sha256sum | cut -d ' ' -f 1"),
        )
    };
    let html = std::fs::read_to_string(page(&sandbox, "--outcomes outcomes.csv")).unwrap();
    for command in [
        "exp assignments test",
        "exp exposures test",
        "cat outcomes.csv",
    ] {
        let hash = of(command);
        assert!(
            html.contains(&format!("sha256 {}", hash.trim())),
            "{command}"
        );
    }

    run(
        &sandbox,
        "exp track user:0-1 revenue 49.90 --id 'order\t7'
         exp track user:0-2 items 3
         exp track user:0-2 unrelated 3",
    );
    let html = std::fs::read_to_string(page(&sandbox, "")).unwrap();
    let lines = format!(
        "user:0-1\\trevenue\\t49.9\\t{NOW}\\torder\\\\t7\\nuser:0-2\\titems\\t3\\t{NOW}\\t\\n"
    );
    let hash = of(&format!("printf '{lines}'"));
    assert!(html.contains(&format!("sha256 {}", hash.trim())), "{html}");
}

#[test]
fn the_page_says_how_it_was_made() {
    let sandbox = empty();
    let arguments = "--only-seen --metric 'new one:mean:1d'";
    let html = std::fs::read_to_string(page(&sandbox, arguments)).unwrap();
    let made =
        "<code>exp results test --only-seen --metric 'new one:mean:1d' --html page.html</code>";
    assert!(html.contains(made), "{html}");
    assert!(html.contains("<code>--as-of "));
    let html = std::fs::read_to_string(page(&sandbox, "--as-of 1764000000")).unwrap();
    assert!(!html.contains("<code>--as-of "));
}

#[test]
fn no_password_is_on_the_page() {
    let sandbox = empty();
    run(&sandbox, "exp results test --html ann:s3cret@db:5432");
    let html = std::fs::read_to_string(sandbox.home().join("ann:s3cret@db:5432")).unwrap();
    assert!(html.contains("ann:...@db:5432"), "{html}");
    assert!(!html.contains("s3cret"));
}
