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

/// Parses every text, the order kept.
pub(super) fn parse_all(texts: Vec<Text>) -> Vec<Item> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(texts.len());
    if workers <= 1 {
        return texts.into_iter().map(parse).collect();
    }
    let queue = Mutex::new(texts.into_iter().enumerate());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let work = || {
        let mut done = Vec::new();
        while let Some((index, text)) = next() {
            done.push((index, parse(text)));
        }
        done
    };
    let mut items: Vec<(usize, Item)> = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        // A worker that panics is a bug of ours: it must not pass for a folder with fewer objects.
        let join = |handle: thread::ScopedJoinHandle<'_, _>| match handle.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        handles.into_iter().flat_map(join).collect()
    });
    items.sort_by_key(|(index, _)| *index);
    items.into_iter().map(|(_, item)| item).collect()
}

fn parse(text: Text) -> Item {
    match text {
        Text::Unread { note } => Item::Unread(note),
        Text::Readable { name, read } => match read() {
            Ok(text) => parsed(&name, text),
            Err(fault) => Item::Refused(*fault),
        },
    }
}

/// What one text holds.
pub(super) fn parsed(name: &str, text: String) -> Item {
    let parsed = manifest::parse(name, &text);
    let text = (!parsed.problems.is_empty()).then(|| Arc::new(text));
    Item::Parsed { parsed, text }
}
