//! Running a verb without a process.

use policyctl::{
    cli::{self, Exit, Styles},
    style::Style,
};
use std::ffi::OsString;

/// What a run said, and how it ended.
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
    line: String,
}

/// Runs `policyctl` with these arguments, without colour, 100 columns wide.
pub(crate) fn policyctl(line: &str) -> Ran {
    policyctl_at(Style::plain().width, line)
}

/// The same on a terminal of this many columns.
pub(crate) fn policyctl_at(width: usize, line: &str) -> Ran {
    // Words are split at spaces, except in single quotes.
    let mut words = vec!["policyctl".to_owned()];
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    let mut style = Style::plain();
    style.width = width;
    let styles = Styles { out: style, err: style };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(words.into_iter().map(OsString::from).collect(), styles, &mut out, &mut err);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    Ran { exit, out: text(out), err: text(err), line: line.to_owned() }
}

impl Ran {
    /// Everything, for a snapshot.
    pub(crate) fn screen(&self) -> String {
        let Self { exit, out, err, line } = self;
        let err = if err.is_empty() { String::new() } else { format!("--- standard error\n{err}") };
        format!("$ policyctl {line}\n{out}{err}--- exit {}\n", exit.code())
    }

    /// The answer as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}", self.screen()))
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.exit.code()
    }
}

/// A snapshot of everything that each line says.
macro_rules! screens {
    ($($name:ident: $line:expr;)+) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!($crate::support::policyctl($line).screen());
            }
        )+
    };
}
pub(crate) use screens;
