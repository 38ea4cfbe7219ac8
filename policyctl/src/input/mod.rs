//! From paths to a cluster: what a folder of manifests, a file or standard input says, as one [`Snapshot`].
//!
//! A folder stands for a cluster that has no API server to fill in the blanks, so the blanks are filled here: see
//! [`Snapshot`]. One broken document never hides the others; what is wrong is kept in [`Snapshot::faults`].

mod build;
mod fault;
mod read;
mod snapshot;
#[cfg(test)]
mod tests;

pub use fault::{Fault, FaultKind, Warning};
pub use read::{InputError, Source};
pub use snapshot::{POD, Snapshot, workload_name};

use read::Text;

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
    let mut builder = build::Builder::new(selection.namespace.as_deref());
    for source in &selection.sources {
        for text in read::texts(source, selection.recursive)? {
            match text {
                Text::Readable { name, read } => match read() {
                    Ok(text) => builder.text(&name, &text),
                    Err(fault) => builder.fault(fault),
                },
                Text::Unread { note } => builder.warn(note),
            }
        }
    }
    Ok(builder.finish())
}

/// A snapshot of one text, for callers that have it already. `name` is what locations name.
#[must_use]
pub fn parse(name: &str, text: &str, namespace: Option<&str>) -> Snapshot {
    let mut builder = build::Builder::new(namespace);
    builder.text(name, text);
    builder.finish()
}
