//! What the person at the terminal sees: lines on one output, bars on standard error while something takes long.

use super::DemoError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use policyctl::style::{Style, Tone};
use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Columns that lines fill at most, however wide the screen is.
const WIDTH: usize = 100;

/// Where the demo tells its story.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    style: Style,
    bars: bool,
    interrupted: Arc<AtomicBool>,
}

impl std::fmt::Debug for Screen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("style", &self.style).field("bars", &self.bars).finish_non_exhaustive()
    }
}

/// The steps of a phase that is under way.
#[derive(Debug)]
pub(super) struct Steps(ProgressBar);

impl Steps {
    /// Some more are done.
    pub(super) fn done(&self, count: usize) {
        self.0.inc(count as u64);
    }
}

impl<'a> Screen<'a> {
    /// Standard output: colour if it is a terminal that wants it, bars if both outputs are terminals.
    pub fn stdout(out: &'a mut io::Stdout) -> Self {
        let bars = out.is_terminal() && io::stderr().is_terminal();
        let style = Style::of(&*out);
        Self { out, style, bars, interrupted: Arc::default() }
    }

    /// Anything else: no colour and no bars.
    pub fn plain(out: &'a mut dyn Write) -> Self {
        Self { out, style: Style::plain(), bars: false, interrupted: Arc::default() }
    }

    /// Set by whoever wants the demo to end at its next step, with everything taken down.
    #[must_use]
    pub fn interrupted(&self) -> Arc<AtomicBool> {
        self.interrupted.clone()
    }

    /// Text in a tone.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        self.style.paint(tone, text)
    }

    /// Columns there are.
    pub(super) fn width(&self) -> usize {
        self.style.width.min(WIDTH)
    }

    /// One line, at once.
    pub(super) fn line(&mut self, text: impl Display) {
        // Whoever closed the output wants no more of it; the checks are made all the same.
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    /// An empty line and a heading.
    pub(super) fn heading(&mut self, text: &str) {
        let text = self.paint(Tone::Strong, text);
        self.line(format_args!("\n{text}"));
    }

    /// A line in a tone, indented, cut off where the screen ends.
    pub(super) fn detail(&mut self, tone: Option<Tone>, indent: usize, text: &str) {
        let text = cut(text, self.width() - indent);
        let text = tone.map_or(text.clone(), |tone| self.paint(tone, &text));
        self.line(format_args!("{:indent$}{text}", ""));
    }

    /// A paragraph, indented and wrapped.
    pub(super) fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text.split_whitespace(), self.width() - indent) {
            self.line(format_args!("{:indent$}{line}", ""));
        }
    }

    /// Does something that takes long, in `steps` steps, with a bar while it does and a line afterwards. An interruption
    /// ends the demo before or after it.
    pub(super) fn phase<T>(
        &mut self,
        what: &str,
        steps: usize,
        work: impl FnOnce(&Steps) -> Result<T, DemoError>,
    ) -> Result<T, DemoError> {
        self.go_on()?;
        let begin = Instant::now();
        let target = if self.bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target).with_message(what.to_owned());
        // The template is fixed: were it wrong, the bar would only look plain.
        if let Ok(style) = ProgressStyle::with_template("  [{bar:24}] {pos}/{len}, {eta} left  {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        let result = work(&Steps(bar.clone()));
        bar.finish_and_clear();
        let word = if result.is_ok() { "ok  " } else { "FAIL" };
        self.line(format_args!("{word}  {what}  {:.1} s", begin.elapsed().as_secs_f64()));
        self.go_on()?;
        result
    }

    fn go_on(&self) -> Result<(), DemoError> {
        if self.interrupted.load(Ordering::SeqCst) { Err(DemoError::Interrupted) } else { Ok(()) }
    }
}

/// The text, or as much of it as fits with an ellipsis.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Words in lines of this width. A longer word has a line of its own.
pub(super) fn wrap<'a>(words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_or_wrapped_to_the_width() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(wrap("to be or not".split(' '), 5), ["to be", "or", "not"]);
        assert_eq!(wrap("indivisible a".split(' '), 5), ["indivisible", "a"]);
    }
}
