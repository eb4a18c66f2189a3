//! A Chromium without a window, by its protocol for developers over a pipe: a message is JSON that a NUL ends. It is gone
//! when the test is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Chromium reads messages from descriptor 3 and writes them to 4. It is ended after a time that is reached only when
/// the test fails.
const SCRIPT: &str = r#"exec timeout --kill-after=5 120 chromium --headless --no-sandbox --hide-scrollbars --disable-gpu \
    --disable-dev-shm-usage --no-first-run --disable-background-networking --user-data-dir="$1" \
    --remote-debugging-pipe 3<&0 4>&1 > /dev/null 2> "$1/log""#;

pub(crate) struct Chromium {
    process: Child,
    messages: ChildStdin,
    answers: BufReader<ChildStdout>,
    sent: u64,
    session: Option<String>,
    /// What was reported and not yet asked for.
    events: Vec<Value>,
    profile: TempDir,
}

/// How a page is seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    /// `light` or `dark`.
    pub(crate) scheme: &'static str,
}

impl Chromium {
    /// One with an empty tab.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("bash")
            .args(["-c", SCRIPT, "bash"])
            .arg(profile.path())
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut chromium = Self {
            messages: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            sent: 0,
            session: None,
            events: Vec::new(),
            profile,
        };
        let tab = chromium.call("Target.createTarget", &json!({"url": "about:blank"}));
        let tab = json!({"targetId": tab["targetId"], "flatten": true});
        let attached = chromium.call("Target.attachToTarget", &tab);
        chromium.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Runtime", "Log", "Accessibility"] {
            chromium.call(&format!("{domain}.enable"), &json!({}));
        }
        chromium
    }

    /// Opens a file, and returns what was reported until it was loaded.
    pub(crate) fn open(&mut self, file: &Path, screen: Screen) -> Vec<Value> {
        let metrics = json!({
            "width": screen.width, "height": 800, "deviceScaleFactor": 1, "mobile": false
        });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = json!([{"name": "prefers-color-scheme", "value": screen.scheme}]);
        let media = json!({"media": "", "features": scheme});
        self.call("Emulation.setEmulatedMedia", &media);
        self.events.clear();
        let url = format!("file://{}", file.display());
        self.call("Page.navigate", &json!({"url": url}));
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_loaded) {
            let event = self.receive();
            self.events.push(event);
        }
        std::mem::take(&mut self.events)
    }

    /// The value of an expression of the page's.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &parameters);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// The role and the name of each thing that a screen reader is told of.
    pub(crate) fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let nodes = nodes.filter(|node| node["ignored"] == false);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        nodes
            .map(|node| (text(&node["role"]["value"]), text(&node["name"]["value"])))
            .collect()
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut message = message.to_string().into_bytes();
        message.push(0);
        self.messages.write_all(&message).unwrap();
        loop {
            let received = self.receive();
            if received["id"] == self.sent {
                assert_eq!(received["error"], Value::Null, "{method}");
                return received["result"].clone();
            }
            self.events.push(received);
        }
    }

    fn receive(&mut self) -> Value {
        let mut message = Vec::new();
        self.answers.read_until(0, &mut message).unwrap();
        if message.pop().is_none() {
            let log = std::fs::read_to_string(self.profile.path().join("log"));
            panic!("Chromium has ended: {}", log.unwrap_or_default());
        }
        serde_json::from_slice(&message).unwrap()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its profile must not be written to while it is removed.
        let _ = self
            .messages
            .write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = self.process.wait();
    }
}
