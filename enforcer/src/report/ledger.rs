//! What has been told and what waits: so that something that happens a thousand times is one Event with a count.

use super::event::{Count, Event};
use k8s_openapi::jiff::Timestamp;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The same Event is written once in this long; meanwhile it is counted.
const SAME: Duration = Duration::from_secs(300);
/// So many Events may be written at once, and one more after each of these.
const BURST: u32 = 20;
const REFILL: Duration = Duration::from_secs(6);
/// An API server forgets an Event after an hour; so does this.
const FORGET: Duration = Duration::from_secs(3600);
/// How many different Events are kept in mind.
const ROOM: usize = 256;

#[derive(Debug)]
struct Entry {
    event: Event,
    count: Count,
    /// It has happened again since it was written.
    waits: bool,
    not_before: Instant,
    touched: Instant,
}

/// Events by name. Without I/O and without a clock.
#[derive(Debug)]
pub(super) struct Ledger {
    node: String,
    entries: BTreeMap<String, Entry>,
    tokens: u32,
    refilled: Instant,
}

impl Ledger {
    pub(super) fn new(node: &str, now: Instant) -> Self {
        Self { node: node.into(), entries: BTreeMap::new(), tokens: BURST, refilled: now }
    }

    /// It has happened. `false`: there is no room for it.
    pub(super) fn note(&mut self, event: Event, now: Instant, time: Timestamp) -> bool {
        self.entries.retain(|_, entry| entry.waits || now.duration_since(entry.touched) < FORGET);
        let name = event.name(&self.node);
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.count = Count { times: entry.count.times.saturating_add(1), last: time, ..entry.count };
            (entry.event, entry.waits, entry.touched) = (event, true, now);
            return true;
        }
        if self.entries.len() == ROOM {
            return false;
        }
        let count = Count { times: 1, first: time, last: time };
        self.entries.insert(name, Entry { event, count, waits: true, not_before: now, touched: now });
        true
    }

    /// One that may be written now, by its name.
    pub(super) fn due(&mut self, now: Instant) -> Option<(String, Event, Count)> {
        self.refill(now);
        if self.tokens == 0 {
            return None;
        }
        let due = self.entries.iter().find(|(_, entry)| entry.waits && entry.not_before <= now);
        due.map(|(name, entry)| (name.clone(), entry.event.clone(), entry.count))
    }

    /// When the next may be.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting =
            self.entries.values().filter(|entry| entry.waits).map(|entry| entry.not_before).min()?;
        Some(if self.tokens == 0 { waiting.max(self.refilled + REFILL) } else { waiting })
    }

    /// It is written.
    pub(super) fn written(&mut self, name: &str, now: Instant) {
        self.tokens = self.tokens.saturating_sub(1);
        self.postpone(name, now + SAME, false);
    }

    /// It could not be written, and is tried again then.
    pub(super) fn failed(&mut self, name: &str, again: Instant) {
        self.postpone(name, again, true);
    }

    fn postpone(&mut self, name: &str, until: Instant, waits: bool) {
        if let Some(entry) = self.entries.get_mut(name) {
            (entry.not_before, entry.waits) = (until, waits);
        }
    }

    fn refill(&mut self, now: Instant) {
        let earned = now.duration_since(self.refilled).as_secs() / REFILL.as_secs();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(BURST);
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::object::ObjectKey;

    fn event(n: usize) -> Event {
        Event::policy(ObjectKey::new("shop", format!("p{n}")), "A", String::new())
    }

    #[test]
    fn what_happens_often_is_written_once_and_counted() {
        let begin = Instant::now();
        let mut ledger = Ledger::new("w1", begin);
        let time = |s| Timestamp::from_second(s).unwrap();
        assert!(ledger.note(event(1), begin, time(0)));
        let (name, _, count) = ledger.due(begin).unwrap();
        assert_eq!(count.times, 1);
        ledger.written(&name, begin);
        for second in 1..=9 {
            let now = begin + Duration::from_secs(second);
            assert!(ledger.note(event(1), now, time(second as i64)));
            assert_eq!(ledger.due(now), None, "it was told just now");
        }
        assert_eq!(ledger.next(), Some(begin + SAME));
        let (_, _, count) = ledger.due(begin + SAME).unwrap();
        assert_eq!((count.times, count.first, count.last), (10, time(0), time(9)));
    }

    #[test]
    fn many_different_ones_come_slowly() {
        let begin = Instant::now();
        let mut ledger = Ledger::new("w1", begin);
        for n in 0..ROOM {
            assert!(ledger.note(event(n), begin, Timestamp::UNIX_EPOCH));
        }
        assert!(!ledger.note(event(ROOM), begin, Timestamp::UNIX_EPOCH), "one too many");
        let mut written = 0;
        while let Some((name, ..)) = ledger.due(begin) {
            ledger.written(&name, begin);
            written += 1;
        }
        assert_eq!(written, BURST);
        assert_eq!(ledger.next(), Some(begin + REFILL));
        assert!(ledger.due(begin + REFILL).is_some());
    }

    #[test]
    fn one_that_failed_is_tried_again() {
        let begin = Instant::now();
        let mut ledger = Ledger::new("w1", begin);
        ledger.note(event(1), begin, Timestamp::UNIX_EPOCH);
        let (name, ..) = ledger.due(begin).unwrap();
        ledger.failed(&name, begin + REFILL);
        assert_eq!(ledger.due(begin), None);
        assert!(ledger.due(begin + REFILL).is_some());
    }
}
