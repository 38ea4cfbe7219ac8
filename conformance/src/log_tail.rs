//! The end of a log, for whoever has to be told what went wrong.

/// The last lines of a text, at most so many.
#[must_use]
pub fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().rev().take(most).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
