//! A bar for what takes long, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};

/// Counts nodes.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of so many; hidden where nobody looks.
    pub(super) fn nodes(count: usize) -> Self {
        if !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(count as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} nodes, {eta} left") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One more has answered.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
