//! Texts read and parsed by every core at once, in the order in which they were named.

use super::{Fault, Warning, read::Text};
use policy_model::manifest::{self, Parsed};
use std::{
    num::NonZero,
    sync::{Arc, Mutex},
    thread,
};

/// What became of a text.
pub(super) enum Item {
    /// What it holds; with the text itself if something is wrong with it, so that the place can be shown.
    Parsed {
        parsed: Parsed,
        text: Option<Arc<String>>,
    },
    Refused(Fault),
    Unread(Warning),
}

/// How many bytes are worth a thread's while: a text of twice as many is read in parts.
const PART: usize = 32 << 10;

/// Parses every text, the order kept.
pub(super) fn parse_all(texts: Vec<Text>) -> Vec<Item> {
    all_at_once(texts, parse)
}

/// Does the same with every item, the order of the results that of the items.
fn all_at_once<T: Send, R: Send>(items: Vec<T>, each: impl Fn(T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    if workers <= 1 {
        return items.into_iter().map(each).collect();
    }
    let queue = Mutex::new(items.into_iter().enumerate());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let work = || {
        let mut done = Vec::new();
        while let Some((index, item)) = next() {
            done.push((index, each(item)));
        }
        done
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let handles: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        // A worker that panics is a bug of ours: it must not pass for a folder with fewer objects.
        let join = |handle: thread::ScopedJoinHandle<'_, _>| match handle.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let own = work();
        handles.into_iter().flat_map(join).chain(own).collect()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn parse(text: Text) -> Item {
    match text {
        Text::Unread { note } => Item::Unread(note),
        Text::Refused { fault } => Item::Refused(*fault),
        Text::Readable { name, read } => match read() {
            Ok(text) => parsed(&name, text),
            Err(fault) => Item::Refused(*fault),
        },
    }
}

/// What one text holds.
pub(super) fn parsed(name: &str, text: String) -> Item {
    let least = if text.len() < 2 * PART { usize::MAX } else { PART };
    let parts = manifest::split(&text, least);
    let mut parsed = Parsed::default();
    all_at_once(parts, |part| manifest::parse_part(name, &text, &part))
        .into_iter()
        .for_each(|part| parsed.append(part));
    let text = (!parsed.problems.is_empty()).then(|| Arc::new(text));
    Item::Parsed { parsed, text }
}
