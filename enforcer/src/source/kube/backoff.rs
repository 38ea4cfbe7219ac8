//! How long to wait before the next attempt.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(15);

/// Doubles with each failure in a row, and adds up to half at random: the nodes of a cluster must not come back to their
/// API server all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// After a failure. `asked`: what the server asks for; it is waited for in any case.
    pub(crate) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.next.max(asked.unwrap_or_default());
        self.next = (self.next * 2).min(LONGEST);
        spread(wait, wait / 2)
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

/// A time between `least` and `least + range`.
pub(super) fn spread(least: Duration, range: Duration) -> Duration {
    // The standard library's only randomness.
    let random = RandomState::new().hash_one(0) % 1024;
    least + range * random as u32 / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..12).map(|_| backoff.wait(None)).collect();
        assert!(waits[0] >= FIRST && waits[0] < FIRST * 3 / 2, "{waits:?}");
        assert!(waits[3] >= FIRST * 8 && waits[3] < FIRST * 12, "{waits:?}");
        assert!(waits[11] >= LONGEST && waits[11] < LONGEST * 3 / 2, "{waits:?}");
        backoff.reset();
        assert!(backoff.wait(None) < FIRST * 3 / 2);
        assert!(backoff.wait(Some(LONGEST)) >= LONGEST, "what the server asks for");
    }
}
