//! What long-lived flows have in common: who sends, and how much arrived.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end that opened the flow.
    Client,
    /// The end that answered.
    Server,
}

impl Side {
    /// Both ends.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];
}

/// A value for each end.
#[derive(Debug, Default)]
pub(crate) struct PerSide<T> {
    client: T,
    server: T,
}

impl<T> PerSide<T> {
    pub(crate) fn of(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

/// What one end of a byte stream has done.
#[derive(Debug, Default)]
pub(crate) struct StreamEnd {
    /// Whether it is to send.
    pub(crate) sends: AtomicBool,
    /// Bytes that its kernel took.
    pub(crate) sent: AtomicU64,
    /// Bytes that came in.
    pub(crate) received: AtomicU64,
    /// The other end closed its direction, or reset the connection.
    pub(crate) ended: AtomicBool,
}

/// What one end of a datagram flow has done. Datagrams are numbered from 0.
#[derive(Debug, Default)]
pub(crate) struct DatagramEnd {
    /// Whether it is to send.
    pub(crate) sends: AtomicBool,
    /// Datagrams that left; also the next number.
    pub(crate) sent: AtomicU64,
    /// Datagrams that its own kernel refused (EPERM of an output rule, a full queue). They got no number.
    pub(crate) refused: AtomicU64,
    /// The numbers of the other end's datagrams that came in.
    pub(crate) arrived: Mutex<Arrivals>,
}

impl DatagramEnd {
    /// Notes that the other end's datagram `number` came in.
    pub(crate) fn note(&self, number: u64) {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).note(number);
    }

    /// How many different datagrams came in.
    pub(crate) fn received(&self) -> u64 {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).distinct
    }

    /// Numbers below `sent` that did not come in.
    pub(crate) fn missing(&self, sent: u64) -> Vec<u64> {
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        (0..sent).filter(|&n| !arrived.has(n)).collect()
    }
}

/// A set of numbers, one bit each.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    bits: Vec<u64>,
    distinct: u64,
}

impl Arrivals {
    pub(crate) fn note(&mut self, number: u64) {
        // A number that no lab could have reached is no number of ours.
        let Ok(word) = usize::try_from(number / 64).map(|w| w.min(1 << 20)) else {
            return;
        };
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let bit = 1 << (number % 64);
        self.distinct += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|w| self.bits.get(w));
        word.is_some_and(|w| w >> (number % 64) & 1 == 1)
    }
}

/// Waits until `settled` holds, looking every few milliseconds. Gives whether it did within `limit`.
pub(crate) fn wait_until(limit: Duration, mut settled: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if settled() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a count has not moved for `quiet`, or for `limit` at most.
pub(crate) fn wait_for_quiet(quiet: Duration, limit: Duration, count: impl Fn() -> u64) {
    let (mut last, mut since) = (count(), Instant::now());
    wait_until(limit, || {
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= quiet
    });
}

/// Reads a counter.
pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}
