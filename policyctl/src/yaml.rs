//! Values as YAML that `kubectl` and people read: block style, short maps and lists of scalars in one line.

use serde_json::Value;

/// A value as a YAML document, with a newline at the end.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// Maps and lists no wider than this stand in one line, if they are not the fields of an object.
const SHORT: usize = 60;

fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                out.push_str(&" ".repeat(indent));
                out.push_str(&scalar_text(key));
                out.push(':');
                child(key, value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&" ".repeat(indent));
                out.push('-');
                if let Some(line) = in_line(item) {
                    out.push(' ');
                    out.push_str(&line);
                    out.push('\n');
                } else {
                    // The item's first line stands behind the dash.
                    let mut text = String::new();
                    block(item, indent + 2, &mut text);
                    out.push(' ');
                    out.push_str(text.trim_start());
                }
            }
        }
        other => {
            out.push_str(&" ".repeat(indent));
            out.push_str(&flow(other));
            out.push('\n');
        }
    }
}

fn child(key: &str, value: &Value, indent: usize, out: &mut String) {
    // What a reader looks for stands on lines of its own.
    let is_spread = matches!(key, "metadata" | "spec");
    match in_line(value).filter(|_| !is_spread) {
        Some(line) => {
            out.push(' ');
            out.push_str(&line);
            out.push('\n');
        }
        None => {
            out.push('\n');
            // A list may stand under its key without further indentation.
            let step = if value.is_array() { 0 } else { 2 };
            block(value, indent + step, out);
        }
    }
}

/// The value in one line: scalars, empty and short structures that hold scalars or one such structure.
fn in_line(value: &Value) -> Option<String> {
    let depth = depth(value);
    let line = flow(value);
    (depth == 0 || (depth <= 2 && is_narrow(value) && line.len() <= SHORT)).then_some(line)
}

/// Lists of structures are read from top to bottom.
fn is_narrow(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| depth(item) == 0),
        Value::Object(map) => map.values().all(is_narrow) && (depth(value) < 2 || map.len() == 1),
        _ => true,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let items = map.iter().map(|(key, value)| format!("{}: {}", scalar_text(key), flow(value)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => scalar_text(text),
        other => other.to_string(),
    }
}

/// A string, in quotes unless every YAML reader, of 1.1 too, takes it for a string as it stands.
fn scalar_text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { Value::from(text).to_string() }
}

fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "null", "y"];
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '[' | ']');
    let has_brackets = text.contains(['[', ']']);
    let lower = text.to_ascii_lowercase();
    starts_well && !has_brackets && text.chars().all(is_safe) && !WORDS.contains(&&*lower) && lower != "n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "apiVersion": "networking.k8s.io/v1",
            "metadata": { "name": "a", "labels": { "on": "yes", "n": "1.10", "empty": "", "a.b/c": "d" } },
            "spec": {
                "podSelector": {},
                "list": [],
                "ingress": [
                    {},
                    { "from": [
                        { "podSelector": { "matchLabels": { "app": "x" } } },
                        { "namespaceSelector": { "matchExpressions": [
                            { "key": "k", "operator": "NotIn", "values": ["a", "b: c", "#d", "'e'", "\"f\"\n", "0x1f", "12:30"] },
                        ] }, "podSelector": { "matchLabels": { "app": "a-rather-long-value", "tier": "another-long-value" } } },
                    ], "ports": [{ "protocol": "TCP", "port": 80 }, { "port": "http" }] },
                ],
                "null": null, "true": true, "text": "two words", "nested": [[1, 2], [], [["a"]]],
            },
        });
        let text = to_yaml(&value);
        let read: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read, value, "{text}");
        insta::assert_snapshot!(text);
    }
}
