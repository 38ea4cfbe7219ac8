//! How text is shown: colour, and the width there is for it.

use std::{env, io::IsTerminal};

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
        let width = comfy_table::Table::new().width().filter(|_| is_terminal).map_or(WIDTH, usize::from);
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
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A table without lines, as wide as the style allows: columns of it are cut off at the right, words are wrapped.
#[must_use]
pub fn table(style: Style) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_width(u16::try_from(style.width).unwrap_or(u16::MAX));
    if style.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// A table's lines without the spaces that fill them up.
#[must_use]
pub fn trimmed(table: &mut comfy_table::Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
