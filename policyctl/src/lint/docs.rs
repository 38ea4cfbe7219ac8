//! `docs/lint.md`, and what `lint --explain` says: both made of the table of codes.

use super::Code;
use std::fmt::Write;

const HEAD: &str = "# What `policyctl lint` finds

This file is made from the code (`policyctl lint --list -o md`); a test holds the two equal.

```
policyctl lint -R -f manifests
policyctl lint -R -f manifests -o sarif > lint.sarif
policyctl lint --explain P014
```

A finding has a code, a severity, a place and a remedy. Exit code 1 if a finding is a warning or an error (`--fail-on info|warning|error`
sets the bar), 2 if something cannot be read, else 0. Checks that hold selectors against pods are left out where a folder has no
pods at all, and a folder without the cluster's DNS is taken to have it where it usually is. A code keeps its number.
";

/// `docs/lint.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = format!("{HEAD}\n| code | severity | finding |\n| --- | --- | --- |\n");
    for info in Code::all().map(Code::info) {
        let _ = writeln!(
            text,
            "| [{0}](#{1}) | {2} | {3} |",
            info.code,
            anchor(info.code),
            info.severity,
            info.title
        );
    }
    for code in Code::all() {
        let info = code.info();
        let _ = write!(text, "\n## {code} {}\n\n{}", info.name, section(code));
    }
    text
}

/// As Markdown hosts make anchors of headings.
fn anchor(code: Code) -> String {
    format!("{code}-{}", code.info().name).to_lowercase()
}

/// What there is to say about one code, as Markdown.
#[must_use]
pub fn section(code: Code) -> String {
    let info = code.info();
    format!(
        "**{}** ({}). {}\n\n```yaml\n{}```\n\n{}\n",
        info.title, info.severity, info.why, info.example, info.remedy
    )
}

/// What there is to say about one code, for a terminal.
#[must_use]
pub fn explain(code: Code, width: usize) -> String {
    let info = code.info();
    let paragraph = |text: &str| crate::explain::wrapped("", text, width);
    let example: String = info.example.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "{code} {} ({})\n\n{}\n{}\nExample\n{example}\nWhat to do\n{}",
        info.name,
        info.severity,
        paragraph(&format!("{}.", info.title)),
        paragraph(info.why),
        crate::explain::wrapped("    ", info.remedy, width),
    )
}
