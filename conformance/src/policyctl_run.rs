//! `policyctl` run in this process, in a namespace from which the cluster that it asks about is reached.

use crate::lab::{LabError, Netns};
use policyctl::{
    cli::{self, Styles},
    style::Style,
};
use serde_json::Value;
use std::ffi::OsString;

/// What a run said, and how it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: u8,
    /// What it answered.
    pub out: String,
    /// What it said beside that.
    pub err: String,
}

impl Ran {
    /// Its answer.
    ///
    /// # Panics
    /// It is no JSON; the message has all that was said.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }

    /// What was said about errors, in one line: messages are wrapped at the terminal's width.
    #[must_use]
    pub fn said(&self) -> String {
        self.err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
    }
}

/// Runs it without colours. `words` are its arguments, without its own name.
///
/// # Errors
/// The namespace cannot be entered.
///
/// # Panics
/// It says something that is no text.
pub fn policyctl<'a>(netns: &Netns, words: impl IntoIterator<Item = &'a str>) -> Result<Ran, LabError> {
    let styles = Styles { out: Style::plain(), err: Style::plain() };
    let words: Vec<OsString> = std::iter::once("policyctl").chain(words).map(Into::into).collect();
    netns.enter(|| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = cli::run(words, styles, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        Ran { code: exit.code(), out: text(out), err: text(err) }
    })
}
