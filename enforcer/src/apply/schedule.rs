//! When to do what: batching of changes, removal of unused programs, retries, and the regular check. No clock of its own.

use compiler::Pace;
use std::time::{Duration, Instant};

/// A commit is followed by the next one not sooner than this, so that a burst becomes few transactions. An idle node
/// commits at once.
pub(super) const GAP: Duration = Duration::from_millis(5);
/// ... but for so many, of which one more may come each [`REFILL`]: what follows closely on something else does not wait, as
/// long as it is not much.
const SPARE: u32 = 8;
/// Changes are not held back longer than this, however they keep coming; and at 50 a second none is.
pub(super) const REFILL: Duration = Duration::from_millis(20);
/// No packet in flight is still in a program that nothing has led to for this long.
pub(super) const SETTLE: Duration = Duration::from_secs(1);
/// The tables are compared with what they should hold this often.
pub(super) const VERIFY: Duration = Duration::from_secs(60);
/// After somebody else's change they are compared at once, but not more often than this.
pub(super) const FOREIGN_GAP: Duration = Duration::from_millis(100);
/// After a heavy commit the next heavy one comes not sooner than this many times its duration: what is light goes first, and has
/// most of the time.
const REST: u32 = 4;
/// The first retry of a refused commit, and the longest wait between two.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Commit the changes that have come.
    Commit,
    /// Commit again: programs that are not used any more wait to be removed.
    Settle,
    /// Try again what was refused.
    Retry,
    /// Compare the kernel's tables with what they should hold: it is time.
    Check,
    /// The same at once: somebody else has changed them.
    Verify,
}

/// The times at which something is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    last_commit: Option<Instant>,
    /// Commits without a gap that are left, and since when.
    spare: (u32, Instant),
    first_change: Option<Instant>,
    last_change: Option<Instant>,
    urgent: Option<Instant>,
    settle: Option<Instant>,
    retry: Option<Instant>,
    backoff: Duration,
    check: Instant,
    verify: Option<Instant>,
    verified: Option<Instant>,
    /// What is heavy may be committed from then on; whether something heavy waits for it.
    heavy: Instant,
    waiting: bool,
}

impl Schedule {
    /// Nothing to do until the first regular check.
    #[must_use]
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last_commit: None,
            spare: (SPARE, now),
            first_change: None,
            last_change: None,
            urgent: None,
            settle: None,
            retry: None,
            backoff: RETRY.0,
            check: now + VERIFY,
            verify: None,
            verified: None,
            heavy: now,
            waiting: false,
        }
    }

    /// A change has come.
    pub(super) fn changed(&mut self, now: Instant) {
        self.first_change.get_or_insert(now);
        self.last_change = Some(now);
    }

    /// A change has come that a pod waits for: it is committed at once, with all that has come before it.
    pub(super) fn urgent(&mut self, now: Instant) {
        self.changed(now);
        self.urgent.get_or_insert(now);
    }

    /// Somebody else has changed our tables.
    pub(super) fn foreign(&mut self, now: Instant) {
        let soonest = self.verified.map_or(now, |verified| now.max(verified + FOREIGN_GAP));
        self.verify.get_or_insert(soonest);
    }

    /// What had come has been dealt with. `settled`: no unused programs are left.
    pub(super) fn committed(&mut self, now: Instant, settled: bool) {
        let (left, since) = self.spare_at(now);
        self.spare = (left.saturating_sub(1), since);
        self.last_commit = Some(now);
        self.first_change = None;
        self.last_change = None;
        self.urgent = None;
        self.settle = (!settled).then(|| now + SETTLE);
    }

    /// Whether heavy work may be done now.
    #[must_use]
    pub(super) fn pace(&self, now: Instant) -> Pace {
        if self.heavy <= now { Pace::Heavy } else { Pace::Light }
    }

    /// A commit at a pace has ended now. `heavy`: it took longer than a light one; `waiting`: it has put something off.
    pub(super) fn paced(&mut self, now: Instant, took: Duration, heavy: bool, waiting: bool) {
        if heavy {
            self.heavy = now + took * REST;
        }
        self.waiting = waiting;
    }

    /// What was refused is tried again now.
    pub(super) fn retrying(&mut self) {
        self.retry = None;
    }

    /// What the kernel holds is not what it should hold; each try in a row is waited for twice as long. What else is committed
    /// meanwhile does not put the next one off, not even what is still being committed when that is due.
    pub(super) fn refused(&mut self, now: Instant) {
        if self.retry.is_some() {
            return;
        }
        self.retry = Some(now + self.backoff);
        self.backoff = (self.backoff * 2).min(RETRY.1);
    }

    /// The kernel holds all of what it should hold.
    pub(super) fn healed(&mut self) {
        self.retry = None;
        self.backoff = RETRY.0;
    }

    /// The regular comparison begins.
    pub(super) fn checking(&mut self, now: Instant) {
        self.check = now + VERIFY;
    }

    /// The tables have been compared.
    pub(super) fn verified(&mut self, now: Instant) {
        self.check = now + VERIFY;
        self.verify = None;
        self.verified = Some(now);
    }

    /// The time of the next thing to do.
    #[must_use]
    pub(super) fn next(&self) -> Instant {
        let heavy = self.waiting.then_some(self.heavy);
        let times = [self.commit_at(), self.settle, self.retry, heavy, self.verify];
        times.into_iter().flatten().fold(self.check, Instant::min)
    }

    /// What is due, the most urgent first.
    #[must_use]
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        if is_due(self.commit_at()) || is_due(self.waiting.then_some(self.heavy)) {
            Some(Due::Commit)
        } else if is_due(self.retry) {
            Some(Due::Retry)
        } else if is_due(self.settle) {
            Some(Due::Settle)
        } else if is_due(self.verify) {
            Some(Due::Verify)
        } else {
            is_due(Some(self.check)).then_some(Due::Check)
        }
    }

    /// Commits without a gap that are left at a time, and since when they are so many.
    fn spare_at(&self, now: Instant) -> (u32, Instant) {
        let (left, since) = self.spare;
        let more = now.saturating_duration_since(since).as_nanos() / REFILL.as_nanos();
        match u32::try_from(more) {
            Ok(more) if more < SPARE - left => (left + more, since + REFILL * more),
            _ => (SPARE, now),
        }
    }

    fn commit_at(&self) -> Option<Instant> {
        let (first, last) = (self.first_change?, self.last_change?);
        if self.urgent.is_some() {
            return self.urgent;
        }
        let Some(before) = self.last_commit.filter(|before| first < *before + GAP) else {
            return Some(first);
        };
        let (spare, since) = self.spare_at(last);
        if spare > 0 {
            return Some(first);
        }
        // Under load, wait until it is quiet for a moment, but not for ever.
        Some((last + GAP).max(before + GAP).min(since + REFILL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One with no commit to spare.
    fn spent(now: Instant) -> Schedule {
        Schedule { spare: (0, now), ..Schedule::new(now) }
    }

    #[test]
    fn an_idle_node_commits_at_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        assert_eq!(schedule.due(start), None);
        schedule.changed(start + MS);
        assert_eq!(schedule.due(start + MS), Some(Due::Commit));
        schedule.committed(start + 2 * MS, true);
        assert_eq!(schedule.due(start + 100 * MS), None);
        schedule.changed(start + 100 * MS);
        assert_eq!(schedule.due(start + 100 * MS), Some(Due::Commit), "the last commit is long ago");
    }

    #[test]
    fn a_few_that_come_closely_are_not_held_back() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        for n in 0..SPARE {
            let now = start + n * MS;
            schedule.changed(now);
            assert_eq!(schedule.due(now), Some(Due::Commit), "{n}");
            schedule.committed(now, true);
        }
        let now = start + SPARE * MS;
        schedule.changed(now);
        assert_eq!(schedule.due(now), None, "that is a burst");
        schedule.committed(now + GAP, true);
        for n in 1..100 {
            let now = start + SPARE * MS + n * REFILL;
            schedule.changed(now);
            assert_eq!(schedule.due(now), Some(Due::Commit), "{n}");
            schedule.committed(now, true);
        }
    }

    #[test]
    fn a_burst_is_committed_together() {
        let start = Instant::now();
        let mut schedule = spent(start);
        schedule.changed(start);
        schedule.committed(start, true);
        for ms in 1..4 {
            schedule.changed(start + ms * MS);
            assert_eq!(schedule.due(start + ms * MS), None, "{ms} ms");
        }
        assert_eq!(schedule.next(), start + 3 * MS + GAP, "quiet for a moment");
        assert_eq!(schedule.due(start + 3 * MS + GAP), Some(Due::Commit));
    }

    #[test]
    fn heavy_commits_leave_most_of_the_time_to_light_ones() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        assert_eq!(schedule.pace(start), Pace::Heavy);
        schedule.changed(start);
        schedule.committed(start + 100 * MS, true);
        schedule.paced(start + 100 * MS, 100 * MS, true, true);
        assert_eq!(schedule.due(start + 100 * MS), None, "what waits rests");
        schedule.changed(start + 200 * MS);
        assert_eq!(schedule.due(start + 200 * MS), Some(Due::Commit), "what is light does not");
        assert_eq!(schedule.pace(start + 200 * MS), Pace::Light);
        schedule.committed(start + 201 * MS, true);
        schedule.paced(start + 201 * MS, MS, false, true);
        assert_eq!(schedule.next(), start + 500 * MS);
        assert_eq!(schedule.due(start + 500 * MS), Some(Due::Commit));
        assert_eq!(schedule.pace(start + 500 * MS), Pace::Heavy);
        schedule.committed(start + 600 * MS, true);
        schedule.paced(start + 600 * MS, 100 * MS, true, false);
        assert_eq!(schedule.due(start + 5000 * MS), None, "nothing waits any more");
    }

    #[test]
    fn what_a_pod_waits_for_is_not_held_back() {
        let start = Instant::now();
        let mut schedule = spent(start);
        schedule.changed(start);
        schedule.committed(start, true);
        schedule.changed(start + MS);
        assert_eq!(schedule.due(start + MS), None);
        schedule.urgent(start + 2 * MS);
        assert_eq!(schedule.due(start + 2 * MS), Some(Due::Commit));
        schedule.committed(start + 2 * MS, true);
        schedule.changed(start + 3 * MS);
        assert_eq!(schedule.due(start + 3 * MS), None, "only once");
    }

    #[test]
    fn a_burst_without_end_is_not_waited_for() {
        let start = Instant::now();
        let mut schedule = spent(start);
        schedule.changed(start);
        schedule.committed(start, true);
        let mut now = start + MS;
        loop {
            schedule.changed(now);
            if schedule.due(now).is_some() {
                break;
            }
            now += MS;
        }
        assert_eq!(now, start + REFILL);
    }

    #[test]
    fn unused_programs_are_removed_after_a_second() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        schedule.changed(start);
        schedule.committed(start, false);
        assert_eq!(schedule.due(start + SETTLE - MS), None);
        assert_eq!(schedule.due(start + SETTLE), Some(Due::Settle));
        schedule.committed(start + SETTLE, true);
        assert_eq!(schedule.due(start + 3 * SETTLE), None);
    }

    #[test]
    fn retries_wait_longer_each_time_and_start_anew_once_healed() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        let (mut now, mut waits) = (start, Vec::new());
        for _ in 0..8 {
            schedule.refused(now);
            let retry = schedule.retry.unwrap();
            waits.push((retry - now).as_secs());
            // Other commits, after which it is still so; the last ends when the next try is due already.
            (1..4).for_each(|ms| schedule.refused(now + ms * MS));
            schedule.refused(retry + MS);
            assert_eq!(schedule.retry, Some(retry));
            now = retry + MS;
            schedule.checking(now);
            assert_eq!(schedule.due(now), Some(Due::Retry));
            schedule.retrying();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        schedule.healed();
        assert_eq!(schedule.due(now + VERIFY - MS), None);
        schedule.refused(now);
        assert_eq!(schedule.next(), now + RETRY.0);
    }

    #[test]
    fn tables_are_compared_each_minute_and_at_once_after_somebody_elses_change() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        assert_eq!(schedule.due(start + VERIFY - MS), None);
        assert_eq!(schedule.due(start + VERIFY), Some(Due::Check));
        schedule.checking(start + VERIFY);
        assert_eq!(schedule.next(), start + 2 * VERIFY);
        let mut schedule = Schedule::new(start);
        schedule.foreign(start + MS);
        assert_eq!(schedule.due(start + MS), Some(Due::Verify));
        schedule.verified(start + MS);
        schedule.foreign(start + 2 * MS);
        assert_eq!(schedule.next(), start + MS + FOREIGN_GAP, "a storm of changes costs no more than this");
        schedule.verified(start + MS + FOREIGN_GAP);
        assert_eq!(schedule.next(), start + MS + FOREIGN_GAP + VERIFY);
    }
}
