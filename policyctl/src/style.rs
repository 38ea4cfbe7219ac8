//! How text is shown: colour, and the width there is for it.

use std::{env, io::IsTerminal};
use terminal_size::{Width, terminal_size};

/// Colour repeats what the words say, and is there on a terminal only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub(crate) colour: bool,
    /// Columns.
    pub width: usize,
}

/// What a verdict or heading is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Allowed.
    Good,
    /// Denied.
    Bad,
    /// Unknown or mixed.
    Unsure,
    /// A heading.
    Strong,
    /// Less important.
    Faint,
    /// Like all else.
    Plain,
}

/// Wide enough for every screen, where nobody says how wide the terminal is.
const WIDTH: usize = 100;
/// Narrower terminals break lines by themselves.
const NARROWEST: usize = 40;

impl Style {
    /// No colour, 100 columns.
    #[must_use]
    pub fn plain() -> Self {
        Self { colour: false, width: WIDTH }
    }

    /// As a stream wants it: colour and the real width on a terminal; no colour if `NO_COLOR` is set to anything but nothing
    /// (<https://no-color.org>).
    #[must_use]
    pub fn of(stream: &impl IsTerminal) -> Self {
        let is_terminal = stream.is_terminal();
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = terminal_size().map(|(Width(width), _)| usize::from(width));
        let width = width.filter(|width| is_terminal && *width > 0).unwrap_or(WIDTH);
        Self { colour: is_terminal && !no_colour, width: width.max(NARROWEST) }
    }

    /// Whether there is colour.
    #[must_use]
    pub fn has_colour(self) -> bool {
        self.colour
    }

    /// A text in a tone.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32;1",
            Tone::Bad => "31;1",
            Tone::Unsure => "33;1",
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Plain => return text.to_owned(),
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
