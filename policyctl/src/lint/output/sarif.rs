//! SARIF 2.1.0, which code hosts show beside the lines of a change.
//!
//! Source: OASIS "Static Analysis Results Interchange Format", version 2.1.0.

use super::super::{Code, Finding, Severity, docs};
use serde_json::{Value, json};

/// One run of one tool, with all codes as its rules.
#[must_use]
pub fn sarif(findings: &[Finding]) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "policyctl",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Code::all().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// The words of SARIF's `level`.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(code: Code) -> Value {
    let info = code.info();
    json!({
        "id": code.to_string(),
        "name": info.name,
        "shortDescription": { "text": info.title },
        "fullDescription": { "text": info.why },
        "help": { "text": info.remedy, "markdown": docs::section(code) },
        "defaultConfiguration": { "level": level(info.severity) },
    })
}

fn result(finding: &Finding) -> Value {
    let mut result = json!({
        "ruleId": finding.code.to_string(),
        "ruleIndex": finding.code as usize - 1,
        "level": level(finding.severity),
        "message": { "text": format!("{}{}. {}", about(finding), finding.message, finding.remedy) },
    });
    if let Some(place) = &finding.place {
        let mut physical = json!({ "artifactLocation": { "uri": uri(&place.file) } });
        if let (Some(line), Some(column)) = (place.line, place.column) {
            physical["region"] = json!({ "startLine": line, "startColumn": column });
        }
        result["locations"] = json!([{ "physicalLocation": physical }]);
    }
    result
}

fn about(finding: &Finding) -> String {
    let field = if finding.field.is_empty() { String::new() } else { format!(" {}", finding.field) };
    finding.object.as_ref().map(|object| format!("{object}{field}: ")).unwrap_or_default()
}

/// A path as a URI reference (RFC 3986): what is no path character is escaped.
fn uri(path: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte);
    let path = path.strip_prefix("./").unwrap_or(path);
    path.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
#[path = "sarif_schema.rs"]
mod schema;

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_are_uri_references() {
        assert_eq!(uri("./a/b c.yaml"), "a/b%20c.yaml");
        assert_eq!(uri("ü:#?.yaml"), "%C3%BC%3A%23%3F.yaml");
    }
}
