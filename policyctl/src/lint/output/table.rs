//! Findings for a terminal: place, weight and code; what is found; what to do.

use super::super::{Counts, Finding, Severity};
use crate::{
    explain::wrapped,
    style::{Style, Tone},
};

/// Three or more lines a finding, and a summary.
#[must_use]
pub fn table(findings: &[Finding], style: Style) -> String {
    let mut out: String = findings.iter().map(|item| finding(item, style)).collect();
    out += &summary(findings, style);
    out
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Unsure,
        Severity::Info => Tone::Faint,
    }
}

fn finding(finding: &Finding, style: Style) -> String {
    let Finding { code, severity, object, field, place, message, remedy } = finding;
    let severity = style.paint(tone(*severity), &format!("{severity:7}"));
    let object = object.iter().map(String::as_str);
    let field = Some(field.as_str()).filter(|field| !field.is_empty());
    let about: Vec<&str> = object.chain(field).collect();
    let place = place.as_ref().map(ToString::to_string);
    let where_from: Vec<&str> = about.iter().copied().chain(place.as_deref()).collect();
    let head =
        format!("{severity}  {code}  {}\n", style.paint(Tone::Strong, &printable(&where_from.join("  "))));
    let [message, remedy] = [message, remedy].map(|text| printable(text));
    head + &wrapped("         ", &message, style.width) + &wrapped("         → ", &remedy, style.width)
}

/// What is quoted from a file may hold what a terminal obeys.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn summary(findings: &[Finding], style: Style) -> String {
    let Counts { error, warning, info } = Counts::of(findings);
    let counts = [
        (error, "error", Severity::Error),
        (warning, "warning", Severity::Warning),
        (info, "info", Severity::Info),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, word, severity)| {
            let plural = if count == 1 || word == "info" { "" } else { "s" };
            style.paint(tone(severity), &format!("{count} {word}{plural}"))
        })
        .collect();
    match findings.first() {
        None => "nothing found\n".to_owned(),
        Some(first) => {
            format!(
                "\n{}. `policyctl lint --explain {}` says more about a code.\n",
                parts.join(", "),
                first.code
            )
        }
    }
}
