//! Packets a minute, of a counter that is read now and then.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Over this long.
const MINUTE: Duration = Duration::from_secs(60);

/// Readings of the last minute.
#[derive(Debug, Default)]
pub(super) struct Rate {
    readings: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Takes a reading in, and says how many came in the minute before it, by what is known of that minute.
    pub(super) fn per_minute(&mut self, total: u64, now: Instant) -> u64 {
        // A table that was made anew counts from nothing.
        if self.readings.back().is_some_and(|(_, before)| *before > total) {
            self.readings.clear();
        }
        self.readings.push_back((now, total));
        // One reading of a minute ago or more stays, to count from.
        while self.readings.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= MINUTE) {
            self.readings.pop_front();
        }
        let Some((begin, from)) = self.readings.front() else { return 0 };
        let span = now.duration_since(*begin).max(MINUTE);
        ((total - from) as f64 * MINUTE.as_secs_f64() / span.as_secs_f64()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_the_last_minute_and_survives_a_new_table() {
        let mut rate = Rate::default();
        let begin = Instant::now();
        let mut at = |seconds, total| rate.per_minute(total, begin + Duration::from_secs(seconds));
        assert_eq!(at(0, 1000), 0, "what was before is not known");
        assert_eq!(at(15, 1030), 30, "so many so far");
        assert_eq!(at(60, 1060), 60);
        assert_eq!(at(75, 1060), 30, "since 15 s");
        assert_eq!(at(90, 5), 0, "counted from nothing");
        assert_eq!(at(210, 245), 120, "120 a minute over two minutes without a reading");
    }
}
