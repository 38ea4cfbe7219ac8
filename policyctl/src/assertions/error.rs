//! What can be wrong with a test file.

use crate::endpoint::{EndpointError, ResolveError};
use std::fmt;

/// A position in a test file, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A fault of a test file, with its place. Displays as `12:9: test "name": what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFileError {
    /// Where.
    pub place: Place,
    /// `name` of the test, where it is known.
    pub test: Option<String>,
    /// What.
    pub fault: TestFileFault,
}

impl std::error::Error for TestFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}

impl fmt::Display for TestFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        self.test.iter().try_for_each(|name| write!(f, "test \"{name}\": "))?;
        write!(f, "{}", self.fault)
    }
}

/// What is wrong with a test file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestFileFault {
    /// No YAML, or a field that no test has, or a value of the wrong type.
    #[error("{0}")]
    Yaml(String),
    /// The list of tests is empty.
    #[error("no tests: a file without tests would always pass")]
    Empty,
    /// `name` is empty.
    #[error("name is empty")]
    NoName,
    /// A combination of fields that is no test.
    #[error(
        "write one of three forms: `to` with `allow` and `deny` (sources), `from` with `allow` and `deny` \
         (destinations), or `from`, `to` and `expect`"
    )]
    Form,
    /// A group that contains a group.
    #[error("group {0} contains another group; groups hold endpoints only")]
    NestedGroup(String),
    /// A group that nobody defines, or that is empty.
    #[error("there is no group ${name}{}", if .known.is_empty() { String::new() } else { format!("; the groups are {}", .known.join(", ")) })]
    NoGroup {
        /// As it was written, without `$`.
        name: String,
        /// The groups that there are.
        known: Vec<String>,
    },
    /// An endpoint that cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An endpoint that stands for nothing in this cluster.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Both ends exist, but no packet can go between them.
    #[error("{0} stands for no flow: the ends have no address family in common, or are one pod")]
    NoFlow(String),
}
