//! Objects that say their kind, one by one: the state on disk is read by what reads the API server's answers.

use super::{decode, kind::Kind};
use crate::source::intern::Interner;
use policy_model::cluster::Change;

/// Reads objects; words that many of them share are kept once.
#[derive(Debug, Default)]
pub(crate) struct ObjectReader(Interner);

impl ObjectReader {
    /// Reads one that begins with its kind, as the state on disk has it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(&mut self, json: &str) -> Result<Change, String> {
        let kind = Kind::ALL.into_iter().find(|kind| {
            json.strip_prefix("{\"kind\":\"")
                .and_then(|rest| rest.strip_prefix(kind.name()))
                .is_some_and(|rest| rest.starts_with('"'))
        });
        let kind = kind.ok_or("it has no kind that is followed")?;
        decode::object(kind, json, &mut self.0).map_err(|e| e.to_string())?.change
    }
}
