//! Findings as a SARIF 2.1.0 log, with what code scanning on GitHub needs of it:
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::fmt::Write as _;

use experiments::declare::{Finding, Lint, SourceSpan};
use serde::Serialize;
use serde_json::{Value, json};

use super::findings::Findings;

/// The log. The names of the files become its addresses, so they are best relative to the repository.
pub(crate) fn log(findings: &Findings<'_>) -> impl Serialize {
    Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: json!({ "driver": {
                "name": "exp",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Lint::ALL.iter().map(|lint| rule(*lint)).collect::<Vec<_>>(),
            }}),
            column_kind: "unicodeCodePoints",
            results: Results(findings),
        }],
    }
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Value,
    column_kind: &'static str,
    results: Results<'a>,
}

/// The results, each made when it is written: as values they would take fifty times the bytes of the text.
struct Results<'a>(&'a Findings<'a>);

impl Serialize for Results<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let findings = self.0;
        serializer.collect_seq(findings.all.iter().map(|f| result(findings, f)))
    }
}

fn rule(lint: Lint) -> Value {
    // Who reads the help may not be shown the description.
    let help = format!("{}\n\n{}", lint.rationale(), lint.remedy());
    json!({
        "id": lint.id(),
        "shortDescription": { "text": lint.summary() },
        "fullDescription": { "text": lint.rationale().replace('`', "") },
        "help": { "text": help.replace('`', ""), "markdown": help },
        "defaultConfiguration": { "level": lint.severity().as_str() },
    })
}

fn result(findings: &Findings<'_>, finding: &Finding) -> Value {
    let index = Lint::ALL.iter().position(|lint| *lint == finding.lint);
    let mut result = json!({
        "ruleId": finding.lint.id(),
        "ruleIndex": index,
        "level": finding.severity().as_str(),
        "message": { "text": format!("{}; {}", finding.message, finding.help) },
        "locations": [location(findings, &finding.place)],
    });
    if let Some((place, what)) = &finding.related {
        let mut location = location(findings, place);
        location["message"] = json!({ "text": what });
        result["relatedLocations"] = json!([location]);
    }
    result
}

fn location(findings: &Findings<'_>, place: &SourceSpan) -> Value {
    let (start, end) = findings.positions(place);
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&findings.sources[place.file].name) },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    }})
}

/// A path as a URI reference: RFC 3986, with what is not allowed in a path percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
