//! Findings for people and for programs.

mod junit;
mod sarif;
mod table;

pub use junit::junit;
pub use sarif::sarif;
pub use table::table;

use super::{Counts, Finding};
use serde_json::{Value, json};

/// `{"kind":"LintReport","findings":[…],"counts":{…}}`, findings in the order of their places.
#[must_use]
pub fn json(findings: &[Finding]) -> Value {
    let findings_json: Vec<Value> = findings.iter().map(finding).collect();
    json!({ "kind": "LintReport", "findings": findings_json, "counts": Counts::of(findings) })
}

pub(crate) fn finding(finding: &Finding) -> Value {
    let Finding { code, severity, object, field, place, message, remedy } = finding;
    let place = place.as_ref();
    json!({
        "code": code.to_string(),
        "name": code.info().name,
        "severity": severity,
        "object": object,
        "field": (!field.is_empty()).then_some(field),
        "file": place.map(|place| &place.file),
        "line": place.and_then(|place| place.line),
        "column": place.and_then(|place| place.column),
        "message": message,
        "remedy": remedy,
    })
}
