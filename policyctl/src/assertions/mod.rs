//! Expectations about a cluster, written down in YAML: the files that `policyctl test` reads, and the scenarios of
//! `testdata/` with them.
//!
//! `docs/testing-policies.md` is the format's description. [`TestFile::parse`] reads a file, [`TestFile::resolve`] turns
//! it into [`Assertion`]s about one cluster, and [`Assertion::failures`] compares each with a verdict: of the model, of
//! the IR, or of a kernel.

mod error;
mod file;
mod resolve;
#[cfg(test)]
mod tests;

pub use error::{Place, TestFileError, TestFileFault};
pub use file::TestFile;

use crate::endpoint::{ServiceRoute, Transport};
use policy_model::verdict::Flow;
use serde::Deserialize;
use std::{fmt, sync::Arc};

/// One expectation: an entry of `allow` or `deny`, or a test with `expect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// `name` of the test that it is in.
    pub test: Arc<str>,
    /// Who, and where to, as written: `shop/front -> shop/db:5432/TCP`.
    pub about: String,
    /// Where it is written.
    pub place: Place,
    /// What is expected.
    pub expect: Expect,
    /// Of how many of the probes.
    pub require: Require,
    /// What it stands for; never empty.
    pub probes: Vec<Probe>,
}

/// One flow that an assertion stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What a verdict is asked about: the flow as policies see it, after a Service's address has been translated.
    pub flow: Flow,
    /// Its protocol.
    pub transport: Transport,
    /// The Service that it goes through, if one was written. A kernel is asked through the Service's address.
    pub service: Option<ServiceRoute>,
}

/// An expected verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Expect {
    /// The flow may pass.
    Allowed,
    /// It may not.
    Denied,
}

/// How many flows of an assertion must be as expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// Every one.
    #[default]
    Every,
    /// At least one.
    Any,
}

impl Expect {
    /// The expectation that a verdict meets.
    #[must_use]
    pub fn of(allowed: bool) -> Self {
        if allowed { Self::Allowed } else { Self::Denied }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "Allowed",
            Self::Denied => "Denied",
        })
    }
}

impl Assertion {
    /// The probes that are not as expected; none if the assertion holds.
    ///
    /// `allowed` is asked about every probe, and says `None` about one that it cannot ask, such as a kernel about an
    /// address that no host has. Such a probe fails nothing and proves nothing.
    pub fn failures(&self, mut allowed: impl FnMut(&Probe) -> Option<bool>) -> Vec<&Probe> {
        let mut met = false;
        let mut failed = Vec::new();
        for probe in &self.probes {
            match allowed(probe).map(Expect::of) {
                Some(answer) if answer == self.expect => met = true,
                Some(_) => failed.push(probe),
                None => {}
            }
        }
        if met && self.require == Require::Any { Vec::new() } else { failed }
    }
}

/// `name: shop/front -> shop/db:5432/TCP expected Denied`.
impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} expected {}", self.test, self.about, self.expect)
    }
}

/// `shop/front (10.244.1.2) -> shop/db (10.244.2.3) TCP 5432`.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {}", self.flow.source, self.flow.destination, self.transport.name())?;
        self.flow.port.iter().try_for_each(|port| write!(f, " {port}"))?;
        self.service.iter().try_for_each(|service| write!(f, " through Service {}", service.key))
    }
}
