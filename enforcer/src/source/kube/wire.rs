//! What an API server sends around objects: lines of a watch, pages of a list. The objects in them stay text until their
//! turn comes, so that one that is odd does not take the others with it.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};

/// A bookmark with this annotation ends a streaming list.
pub(super) const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// A line of a watch.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(rename = "type")]
    pub(super) what: What,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// The object of a line as every API server writes it, without a look at it: to find its end by reading it would cost as much as to
/// understand it. `None`: another kind of line, or one written otherwise. If what this gives is no object, the line is.
pub(super) fn plain_object(line: &[u8]) -> Option<&str> {
    let begin = [&b"{\"type\":\"MODIFIED\",\"object\":"[..], b"{\"type\":\"ADDED\",\"object\":"];
    let rest = begin.iter().find_map(|begin| line.strip_prefix(*begin))?;
    std::str::from_utf8(rest.strip_suffix(b"}\n")?).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum What {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

/// An object of which only the metadata counts.
#[derive(Deserialize)]
pub(super) struct Mark {
    pub(super) metadata: MarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarkMetadata {
    pub(super) resource_version: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct Page<'a> {
    pub(super) metadata: PageMetadata,
    /// Go writes an empty list as null where nobody made one.
    #[serde(borrow)]
    pub(super) items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMetadata {
    pub(super) resource_version: String,
    #[serde(default, rename = "continue")]
    pub(super) next: Option<String>,
}

/// A namespace, as far as it matters to the deletion of its policies.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamespaceMark {
    pub(super) name: Arc<str>,
    pub(super) deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct NamespaceItem {
    pub(super) metadata: NamespaceMark,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_has_the_object_that_the_reader_of_any_line_finds() {
        for what in ["ADDED", "MODIFIED"] {
            let line = format!("{{\"type\":\"{what}\",\"object\":{{\"a\":{{\"b\":\"}}\"}}}}}}\n");
            let read: Line<'_> = serde_json::from_str(&line).unwrap();
            assert_eq!(plain_object(line.as_bytes()), Some(read.object.get()));
        }
        for other in [
            "{\"type\":\"DELETED\",\"object\":{}}\n",
            "{\"type\": \"ADDED\", \"object\": {}}\n",
            "{\"object\":{},\"type\":\"ADDED\"}\n",
            "{\"type\":\"ADDED\",\"object\":{}",
        ] {
            assert_eq!(plain_object(other.as_bytes()), None, "{other}");
        }
    }
}
