//! From paths to a cluster: what a folder of manifests, a file or standard input says, as one [`Snapshot`].
//!
//! A folder stands for a cluster that has no API server to fill in the blanks, so the blanks are filled here: see
//! [`Snapshot`]. One broken document never hides the others; what is wrong is kept in [`Snapshot::faults`].

mod build;
mod fault;
mod parallel;
mod read;
mod snapshot;
#[cfg(test)]
mod tests;

pub use fault::{Fault, FaultKind, Warning};
pub use read::{InputError, Source};
pub use snapshot::{POD, Snapshot, owners, workload_name};

/// What to read, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Files, folders and standard input, in the order in which they are read; of two objects of one name the later counts.
    pub sources: Vec<Source>,
    /// Whether folders within folders are read too.
    pub recursive: bool,
    /// The namespace of objects that name none; `default` without it.
    pub namespace: Option<String>,
}

/// Reads everything that is selected.
///
/// # Errors
/// A path that is not there or cannot be read at all. What is wrong *within* a file is a [`Fault`] of the snapshot.
pub fn load(selection: &Selection) -> Result<Snapshot, InputError> {
    let mut texts = Vec::new();
    for source in &selection.sources {
        texts.extend(read::texts(source, selection.recursive)?);
    }
    let mut builder = build::Builder::new(selection.namespace.as_deref());
    parallel::parse_all(texts).into_iter().for_each(|item| builder.add(item));
    Ok(builder.finish())
}

/// A snapshot of one text, for callers that have it already. `name` is what locations name.
#[must_use]
pub fn parse(name: &str, text: &str, namespace: Option<&str>) -> Snapshot {
    let mut builder = build::Builder::new(namespace);
    builder.add(parallel::parsed(name, text.to_owned()));
    builder.finish()
}
