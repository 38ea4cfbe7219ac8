//! Label selectors in the syntax of `kubectl -l`.
//!
//! Source: `labels.Parse` of apimachinery, without its numeric `<` and `>`.

use policy_model::selector::{Requirement, Selector};
use std::sync::Arc;

/// A selector that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{part}` is no label requirement; write key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
)]
pub struct SelectorError {
    /// The requirement as it was written.
    pub part: String,
}

/// Reads `app=web,tier in (a,b),!legacy`. The empty text selects everything.
pub(super) fn parse(text: &str) -> Result<Selector, SelectorError> {
    if text.trim().is_empty() {
        return Ok(Selector::everything());
    }
    Ok(Selector::new(split(text).map(requirement).collect::<Result<Vec<_>, _>>()?))
}

/// The requirements: separated by commas that are outside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    read(part).ok_or_else(|| SelectorError { part: part.to_owned() })
}

fn read(part: &str) -> Option<Requirement> {
    if let Some(key) = part.strip_prefix('!') {
        return Some(Requirement::DoesNotExist(label_key(key)?));
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Requirement::NotIn(label_key(key)?, [label_value(value)?].into()));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(label_key(key)?, [label_value(value)?].into()));
    }
    let mut words = part.splitn(2, char::is_whitespace);
    let key = label_key(words.next()?)?;
    let Some(rest) = words.next() else { return Some(Requirement::Exists(key)) };
    let (operator, list) = rest.trim().split_once('(')?;
    let values =
        list.trim_end().strip_suffix(')')?.split(',').map(label_value).collect::<Option<Box<[_]>>>()?;
    match operator.trim() {
        "in" => Some(Requirement::In(key, values)),
        "notin" => Some(Requirement::NotIn(key, values)),
        _ => None,
    }
}

/// Letters that a label's key (with its prefix) and value may have; the full syntax is the API server's to check.
fn is_label_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
}

fn label_key(text: &str) -> Option<Arc<str>> {
    let text = text.trim();
    (!text.is_empty() && is_label_text(text)).then(|| text.into())
}

/// A value may be empty.
fn label_value(text: &str) -> Option<Arc<str>> {
    let text = text.trim();
    is_label_text(text).then(|| text.into())
}
