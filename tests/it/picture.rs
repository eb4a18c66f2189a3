//! The README's picture, `docs/session.svg`: what a terminal shows of a session in the store that `exp demo` makes.
//! `SNAPSHOTS=overwrite cargo test --test it -- picture` draws it anew.

use std::fmt::Write as _;
use std::path::Path;

use snapbox::Data;
use snapbox::assert::Assert;

use crate::sandbox::Sandbox;

/// What is typed, in a directory where `exp demo shop` was.
const SESSION: [&str; 4] = [
    "exp assign checkout_v2 visitor:1",
    "exp explain checkout_v2 visitor:1",
    "exp status checkout_v2 | head -n 9",
    "exp results checkout_v2 | head -n 17",
];

/// In pixels: a line's height, a column's width, and the space around the text.
const LINE: f64 = 18.0;
const COLUMN: f64 = 8.43;
const MARGIN: f64 = 20.0;
const COLUMNS: f64 = 80.0;

#[test]
fn the_picture_is_what_a_terminal_shows() {
    let sandbox = Sandbox::new();
    assert!(sandbox.bash("exp demo shop").status.success());
    let mut lines = Vec::new();
    for command in SESSION {
        lines.push(format!("\x1b[1m$ {command}\x1b[0m"));
        let colored = "export CLICOLOR_FORCE=1 EXP_STORE=shop/experiments.db;";
        let output = sandbox.bash(&format!("exec 2>&1; {colored} {command}"));
        let seen = String::from_utf8(output.stdout).unwrap();
        lines.extend(seen.lines().map(str::to_owned));
        lines.push(String::new());
    }
    lines.pop();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/session.svg");
    let committed = Data::read_from(&path, None).raw();
    let assert = Assert::new().action_env("SNAPSHOTS");
    assert.eq(drawn(&lines), committed);
}

fn drawn(lines: &[String]) -> String {
    let width = COLUMNS * COLUMN + 2.0 * MARGIN;
    let count = u16::try_from(lines.len()).unwrap();
    let height = f64::from(count) * LINE + 2.0 * MARGIN;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img">
<title>A session: a user is assigned, and the results say who won</title>
<style>
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d8dee4; white-space: pre }}
.bold {{ font-weight: bold; fill: #ffffff }}
.dim {{ fill: #8b949e }}
.red {{ fill: #ff7b72 }}
.green {{ fill: #7ee787 }}
.yellow {{ fill: #e3b341 }}
.cyan {{ fill: #79c0ff }}
</style>
<rect width="100%" height="100%" rx="8" fill="#161b22"/>
"##
    );
    for (number, line) in (0_u16..).zip(lines) {
        let y = MARGIN + LINE * (f64::from(number) + 0.75);
        let _ = writeln!(
            svg,
            r#"<text x="{MARGIN:.0}" y="{y:.1}" xml:space="preserve">{}</text>"#,
            spans(line)
        );
    }
    svg + "</svg>\n"
}

/// A line with a terminal's colours as classes.
fn spans(line: &str) -> String {
    let mut spans = String::new();
    let mut classes: Vec<&str> = Vec::new();
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    spans.push_str(&escaped(first));
    for part in parts {
        let (codes, text) = part.split_once('m').unwrap();
        for code in codes.split(';') {
            match code {
                "" | "0" | "39" => classes.clear(),
                "1" => classes.push("bold"),
                "2" => classes.push("dim"),
                "22" => classes.retain(|class| !["bold", "dim"].contains(class)),
                "31" | "91" => classes.push("red"),
                "32" | "92" | "38" => classes.push("green"),
                "33" | "93" => classes.push("yellow"),
                "36" | "96" => classes.push("cyan"),
                // The number of a colour of the terminal's palette.
                "5" | "10" => {}
                other => panic!("no class for the colour {other}"),
            }
        }
        if classes.is_empty() {
            spans.push_str(&escaped(text));
        } else if !text.is_empty() {
            let class = classes.join(" ");
            let _ = write!(spans, r#"<tspan class="{class}">{}</tspan>"#, escaped(text));
        }
    }
    spans
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
