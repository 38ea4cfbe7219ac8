//! JUnit XML: a failed case a finding, so that a pipeline shows it among its tests.

use super::super::{Finding, Severity};
use crate::xml::{escaped, escaped_text};
use std::fmt::Write;

/// One suite. Findings of at least `fail_on` fail; the others are passed cases with the finding as their output. Without any
/// finding there is one passed case, since an empty suite counts as broken in some pipelines.
#[must_use]
pub fn junit(findings: &[Finding], fail_on: Severity) -> String {
    let failures = findings.iter().filter(|finding| finding.severity >= fail_on).count();
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let tests = findings.len().max(1);
    let _ = writeln!(
        xml,
        "<testsuites>\n<testsuite name=\"policyctl lint\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">"
    );
    if findings.is_empty() {
        xml += "<testcase classname=\"lint\" name=\"nothing found\"/>\n";
    }
    for finding in findings {
        let Finding { code, severity, object, field, place, message, remedy } = finding;
        let place = place.as_ref().map(ToString::to_string).unwrap_or_default();
        let object = object.as_deref().unwrap_or(&place);
        let name = format!("{code} {object} {field}");
        let _ = write!(
            xml,
            "<testcase classname=\"lint.{code}\" name=\"{}\" file=\"{}\">",
            escaped(name.trim_end()),
            escaped(&place)
        );
        let text = escaped_text(&format!("{place}: {severity}: {message}\n{remedy}"));
        let _ = match *severity >= fail_on {
            true => {
                write!(xml, "<failure type=\"{severity}\" message=\"{}\">{text}</failure>", escaped(message))
            }
            false => write!(xml, "<system-out>{text}</system-out>"),
        };
        xml += "</testcase>\n";
    }
    xml + "</testsuite>\n</testsuites>\n"
}
