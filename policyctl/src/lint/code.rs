//! The codes of findings: what each means, why it matters and what to do.
//!
//! `lint --explain`, `docs/lint.md` and the rules of SARIF are made of this table.

mod catalogue;

use serde::Serialize;
use std::{fmt, str::FromStr};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Probably not what was meant.
    Warning,
    /// The object is refused, so it protects nothing.
    Error,
}

impl Severity {
    /// `warning`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The number of a kind of finding. Numbers are never given to another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A file or document cannot be read.
    P001 = 1,
    /// An unknown field.
    P002,
    /// An object that an API server would refuse.
    P003,
    /// A policy selects no pod.
    P004,
    /// A peer selects no pod.
    P005,
    /// No pod has the named port.
    P006,
    /// A rule that another one makes needless.
    P007,
    /// A block covers pods.
    P008,
    /// A block covers nodes.
    P009,
    /// A block is a Service's address.
    P010,
    /// An exception cuts nothing.
    P011,
    /// An empty list, which means everything.
    P012,
    /// Two peers where one was meant.
    P013,
    /// Egress without DNS.
    P014,
    /// DNS over UDP only.
    P015,
    /// DNS at an address of the node.
    P016,
    /// kube-system is isolated.
    P017,
    /// Ports of a service mesh are closed.
    P018,
    /// Rules that `policyTypes` leaves out.
    P019,
    /// Selected pods on the host network.
    P020,
    /// Peers on the host network.
    P021,
    /// Two objects of one kind and name.
    P022,
    /// Two pods at one address.
    P023,
}

/// What there is to say about a code.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Which.
    pub code: Code,
    /// In words, for machines: `selects-nothing`.
    pub name: &'static str,
    /// How much its findings usually weigh.
    pub severity: Severity,
    /// In one sentence.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// A policy that has it, as YAML.
    pub example: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl Code {
    /// All of them, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        catalogue::CATALOGUE.iter().map(|info| info.code)
    }

    /// What there is to say about it.
    #[must_use]
    pub fn info(self) -> &'static Info {
        &catalogue::CATALOGUE[self as usize - 1]
    }
}

/// `P014`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("P{:03}", *self as usize))
    }
}

/// There is no such code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no code {0}; the codes are P001 to P{last:03}", last = catalogue::CATALOGUE.len())]
pub struct NoCode(String);

/// By number (`P014`, in either case) or by name (`egress-without-dns`).
impl FromStr for Code {
    type Err = NoCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_meant = |code: &Self| code.to_string().eq_ignore_ascii_case(text) || code.info().name == text;
        Self::all().find(is_meant).ok_or_else(|| NoCode(text.to_owned()))
    }
}
