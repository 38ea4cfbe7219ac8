//! Findings about policies: what is probably not what was meant, with a code, a place and a remedy.
//!
//! [`lint`] looks at a whole snapshot; the checks are in [`checks`], one subject a file, and the table of codes in
//! [`code`]. [`output`] shows the findings. `docs/lint.md` is made of the table by [`docs::markdown`].

mod checks;
mod code;
pub(crate) mod context;
mod cover;
pub mod docs;
pub mod output;
#[cfg(test)]
mod tests;

pub use code::{Code, Info, NoCode, Severity};

use crate::{input::Snapshot, matrix::classes::Kind};
use context::Context;
use policy_model::object::Pod;
use serde::Serialize;

/// Something about a policy or file that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of finding.
    pub code: Code,
    /// How much it weighs here.
    pub severity: Severity,
    /// `NetworkPolicy prod/db`; `None` if it is about a file.
    pub object: Option<String>,
    /// `spec.ingress[0].from`; empty where it is about a whole object or file.
    pub field: String,
    /// Where, if the object comes from a file.
    pub place: Option<Place>,
    /// What is found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// As it was named on the command line, or found in a folder.
    pub file: String,
    /// From 1; `None` where the whole file is meant.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
}

/// `policies/db.yaml:14`.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        self.line.iter().try_for_each(|line| write!(f, ":{line}"))
    }
}

/// Every finding: by place, then by code.
#[must_use]
pub fn lint(snapshot: &Snapshot) -> Vec<Finding> {
    let pods: Vec<&Pod> = snapshot.cluster.pods().filter(|pod| !pod.terminal).collect();
    let kinds: Vec<Kind> = pods.iter().map(|pod| Kind::of(pod)).collect();
    let context = Context::new(snapshot, &pods, &kinds);
    let mut findings = checks::all(&context);
    findings.sort_by(|a, b| {
        let order = |finding: &Finding| (finding.place.clone(), finding.object.clone());
        order(a).cmp(&order(b)).then(a.code.cmp(&b.code)).then_with(|| a.message.cmp(&b.message))
    });
    findings
}

/// How many findings there are of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Errors.
    pub error: usize,
    /// Warnings.
    pub warning: usize,
    /// The rest.
    pub info: usize,
}

impl Counts {
    /// Counts.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        Self { error: count(Severity::Error), warning: count(Severity::Warning), info: count(Severity::Info) }
    }
}

/// The exit status: 2 if something cannot be read, 1 if a finding weighs at least `fail_on`, else 0.
#[must_use]
pub fn exit_status(findings: &[Finding], fail_on: Severity) -> u8 {
    match () {
        () if findings.iter().any(|finding| finding.code == Code::P001) => 2,
        () if findings.iter().any(|finding| finding.severity >= fail_on) => 1,
        () => 0,
    }
}
