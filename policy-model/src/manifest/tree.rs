//! Documents as trees in which every key and value knows its place.

use super::{
    Part,
    location::Mark,
    scalar::{self, Scalar},
    simple::{self, Simple},
};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
    rc::Rc,
};

/// What a text may cost.
pub mod limits {
    /// The most bytes of a text.
    pub const BYTES: usize = 64 << 20;
    /// How deep lists and maps may nest.
    pub const DEPTH: usize = 100;
    /// How many values the aliases of one document may stand for, all together.
    pub const ALIASED: usize = 100_000;
}

/// A fault of a document, or of one map in it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) at: Mark,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// A value with its place. Texts are those of the document wherever it has them as they are, and what an alias stands for is
/// shared with it, so that a copy is cheap.
#[derive(Clone, Debug)]
pub(super) struct Node<'t> {
    pub(super) data: Data<'t>,
    /// A scalar's own text; where a list or map begins.
    pub(super) at: Mark,
    /// How many values it holds, itself included and aliases followed.
    size: usize,
    /// Whether a map in it has [`Map::faults`].
    pub(super) is_faulty: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Data<'t> {
    /// With the text as written.
    Scalar(Scalar, Cow<'t, str>),
    List(Rc<Vec<Node<'t>>>),
    Map(Rc<Map<'t>>),
}

#[derive(Debug, Default)]
pub(super) struct Map<'t> {
    /// In the order of the text, without repeated keys; merged ones at the end.
    pub(super) entries: Vec<Entry<'t>>,
    /// Keys that repeat, and merges of what cannot be merged. Whoever uses the map must report them.
    pub(super) faults: Vec<Fault>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry<'t> {
    pub(super) key: Cow<'t, str>,
    pub(super) at: Mark,
    pub(super) value: Node<'t>,
}

impl<'t> Node<'t> {
    pub(super) fn as_map(&self) -> Option<&Map<'t>> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Self]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// A string's text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(Scalar::Text, text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Scalar(Scalar::Null, _))
    }

    /// The value of a map's key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key).map(|entry| &entry.value)
    }
}

impl<'t> Map<'t> {
    pub(super) fn get(&self, key: &str) -> Option<&Entry<'t>> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Hands over every document of a part of a text that is not empty, broken ones as what is wrong with them.
pub(super) fn documents<'t>(text: &'t str, part: &Part, mut each: impl FnMut(Result<Node<'t>, Fault>)) {
    if part.bytes.len() > limits::BYTES {
        let message =
            format!("the text has {} bytes, which is more than {}", part.bytes.len(), limits::BYTES);
        let at = Mark { line: 1, column: 1, start: 0, end: 0 };
        return each(Err(Fault { at, message, help: Some("split it into several files".to_owned()) }));
    }
    for part in part.documents(text) {
        let places = Places { part: &part };
        match simple::document(&text[part.bytes.clone()], places) {
            Some(Simple::Document(document)) => each(Ok(document)),
            Some(Simple::Empty) => {}
            None => {
                let text = &text[part.bytes.clone()];
                let is_template = text.contains("{{");
                general(text, places, |document| {
                    each(document.map_err(|fault| if is_template { of_template(fault) } else { fault }));
                });
            }
        }
    }
}

/// A fault of a text that is no YAML yet.
fn of_template(fault: Fault) -> Fault {
    let help = "the document has {{, so it may be a template: render it first, as with helm template";
    Fault { help: fault.help.or(Some(help.to_owned())), ..fault }
}

/// The documents of a text by the general parser.
fn general<'t>(text: &'t str, places: Places<'_>, mut each: impl FnMut(Result<Node<'t>, Fault>)) {
    let mut parser = Parser::new_from_str(text);
    loop {
        match Builder::new(places).document(&mut parser) {
            Ok(Some(document)) if document.is_null() => {}
            Ok(Some(document)) => each(Ok(document)),
            Ok(None) => return,
            Err(fault) => {
                each(Err(fault));
                match parser.proceed_next_document() {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => return each(Err(places.syntax(&error))),
                }
            }
        }
    }
}

/// From places in a part to places in the text.
#[derive(Clone, Copy)]
pub(super) struct Places<'p> {
    part: &'p Part,
}

impl Places<'_> {
    fn mark(self, span: &Span) -> Mark {
        let range = span.byte_range().unwrap_or_default();
        self.place(span.start.line(), span.start.col(), range)
    }

    fn syntax(self, error: &ScanError) -> Fault {
        let marker = error.marker();
        let start = marker.byte_offset().unwrap_or_default();
        Fault { at: self.place(marker.line(), marker.col(), start..start), message: error.info(), help: None }
    }

    /// The place in the text of bytes of the part, whose line in the part counts from 1, and the column from 0.
    pub(super) fn place(self, line: usize, column: usize, bytes: Range<usize>) -> Mark {
        let Part { bytes: own, lines, characters } = self.part;
        let before = if line == 1 { *characters } else { 0 };
        Mark {
            line: line + lines,
            column: column + 1 + before,
            start: bytes.start + own.start,
            end: bytes.end + own.start,
        }
    }
}

/// Puts the tree of one document together.
struct Builder<'t, 'p> {
    places: Places<'p>,
    open: Vec<Open<'t>>,
    anchors: HashMap<usize, Node<'t>>,
    aliased: usize,
    root: Option<Node<'t>>,
}

/// A list or map that has not ended.
struct Open<'t> {
    at: Mark,
    anchor: usize,
    data: OpenData<'t>,
}

enum OpenData<'t> {
    List(Vec<Node<'t>>),
    Map(OpenMap<'t>),
}

#[derive(Default)]
pub(super) struct OpenMap<'t> {
    map: Map<'t>,
    /// The key whose value is next, and whether it is a plain `<<`.
    key: Option<(Cow<'t, str>, Mark, bool)>,
    /// The keys, once they are too many to look through.
    seen: HashSet<Cow<'t, str>>,
    /// What is merged in.
    merges: Vec<(Mark, Node<'t>)>,
}

/// How many keys are looked through one by one.
const FEW: usize = 16;

impl<'t, 'p> Builder<'t, 'p> {
    fn new(places: Places<'p>) -> Self {
        Self { places, open: Vec::new(), anchors: HashMap::new(), aliased: 0, root: None }
    }

    /// The next document; `None` at the end of the text.
    fn document(
        mut self,
        parser: &mut impl Iterator<Item = Result<(Event<'t>, Span), ScanError>>,
    ) -> Result<Option<Node<'t>>, Fault> {
        for event in parser {
            let (event, span) = event.map_err(|error| self.places.syntax(&error))?;
            let at = self.places.mark(&span);
            match event {
                Event::StreamEnd => return Ok(None),
                Event::DocumentEnd => return Ok(Some(self.root.unwrap_or_else(|| null(at)))),
                Event::Scalar(text, style, anchor, tag) => {
                    let is_merge = style == ScalarStyle::Plain && text == "<<";
                    let node = scalar_node(text, style, tag.as_deref(), at)?;
                    self.put(node, anchor, at, is_merge)?;
                }
                Event::Alias(id) => self.alias(id, at)?,
                Event::SequenceStart(_, anchor, tag) => {
                    collection_tag(tag.as_deref(), "seq", at)?;
                    self.open(Open { at, anchor, data: OpenData::List(Vec::new()) })?;
                }
                Event::MappingStart(_, anchor, tag) => {
                    collection_tag(tag.as_deref(), "map", at)?;
                    self.open(Open { at, anchor, data: OpenData::Map(OpenMap::default()) })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                // Starts, comments and other news that carry no value.
                _ => {}
            }
        }
        Ok(None)
    }

    fn open(&mut self, open: Open<'t>) -> Result<(), Fault> {
        let is_key =
            self.open.last().is_some_and(|outer| matches!(&outer.data, OpenData::Map(m) if m.key.is_none()));
        if is_key {
            return fault(open.at, "a list or a map cannot be a key");
        }
        if self.open.len() >= limits::DEPTH {
            return fault(open.at, format!("lists and maps nest deeper than {}", limits::DEPTH));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Open { at, anchor, data }) = self.open.pop() else { return Ok(()) };
        let node = match data {
            OpenData::List(items) => list_node(items, at),
            OpenData::Map(open) => open.close(at),
        };
        self.put(node, anchor, at, false)
    }

    fn alias(&mut self, id: usize, at: Mark) -> Result<(), Fault> {
        // An anchor is known once its value has ended.
        let Some(node) = self.anchors.get(&id).cloned() else {
            return fault(at, "the alias stands for itself");
        };
        self.aliased = self.aliased.saturating_add(node.size);
        if self.aliased > limits::ALIASED {
            return fault(at, format!("the aliases stand for more than {} values", limits::ALIASED));
        }
        self.put(node, 0, at, false)
    }

    /// Puts a value where the innermost open list or map wants one, or makes it the document.
    fn put(&mut self, node: Node<'t>, anchor: usize, at: Mark, is_merge: bool) -> Result<(), Fault> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { data: OpenData::List(items), .. }) => items.push(node),
            Some(Open { data: OpenData::Map(map), .. }) => match map.key.take() {
                None => map.key = Some((key_text(&node, at)?, at, is_merge)),
                Some((_, _, true)) => map.merges.push((at, node)),
                Some((key, at, false)) => map.insert(key, at, node),
            },
        }
        Ok(())
    }
}

impl<'t> OpenMap<'t> {
    /// The next entry.
    pub(super) fn insert(&mut self, key: Cow<'t, str>, at: Mark, value: Node<'t>) {
        if self.has(&key) {
            let message = format!("the key {key} is there twice");
            let first = self.map.get(&key).map(|first| first.at.line).unwrap_or_default();
            let help = Some(format!("it is on line {first} too; one of them would be lost"));
            self.map.faults.push(Fault { at, message, help });
            return;
        }
        self.add(Entry { key, at, value });
    }

    fn has(&self, key: &str) -> bool {
        if self.map.entries.len() <= FEW { self.map.get(key).is_some() } else { self.seen.contains(key) }
    }

    fn add(&mut self, entry: Entry<'t>) {
        self.map.entries.push(entry);
        match &self.map.entries[..] {
            [.., last] if self.map.entries.len() > FEW + 1 => _ = self.seen.insert(last.key.clone()),
            all if all.len() > FEW => self.seen.extend(all.iter().map(|entry| entry.key.clone())),
            _ => {}
        }
    }

    /// A merged key counts only where the map, or an earlier merge, has none of that name.
    pub(super) fn close(mut self, at: Mark) -> Node<'t> {
        for (at, merged) in std::mem::take(&mut self.merges) {
            let sources = merged.as_list().map_or_else(|| vec![&merged], |items| items.iter().collect());
            for source in sources {
                let Some(map) = source.as_map() else {
                    let message = "only maps can be merged with <<".to_owned();
                    self.map.faults.push(Fault { at, message, help: None });
                    continue;
                };
                for entry in &map.entries {
                    if !self.has(&entry.key) {
                        self.add(entry.clone());
                    }
                }
            }
        }
        let values = || self.map.entries.iter().map(|entry| &entry.value);
        let size = values().map(|value| value.size).sum::<usize>() + 1;
        let is_faulty = !self.map.faults.is_empty() || values().any(|value| value.is_faulty);
        // A block map has no bracket to point at, but its first key stands where it begins.
        let first = self.map.entries.first().map(|entry| entry.at).filter(|first| first.start == at.start);
        Node { data: Data::Map(Rc::new(self.map)), at: first.unwrap_or(at), size, is_faulty }
    }
}

pub(super) fn list_node<'t>(items: Vec<Node<'t>>, at: Mark) -> Node<'t> {
    let size = items.iter().map(|item| item.size).sum::<usize>() + 1;
    let is_faulty = items.iter().any(|item| item.is_faulty);
    Node { data: Data::List(Rc::new(items)), at, size, is_faulty }
}

/// A value that is not there, as the general parser has it.
pub(super) fn absent(at: Mark) -> Node<'static> {
    Node { data: Data::Scalar(Scalar::Null, Cow::Borrowed("~")), at, size: 1, is_faulty: false }
}

fn null(at: Mark) -> Node<'static> {
    Node { data: Data::Scalar(Scalar::Null, Cow::Borrowed("")), at, size: 1, is_faulty: false }
}

pub(super) fn scalar_node<'t>(
    text: Cow<'t, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Mark,
) -> Result<Node<'t>, Fault> {
    let wanted = tag.map(|tag| if tag.original() == "!" { Some("str") } else { tag.core_suffix() });
    let value = match (wanted, style) {
        (None, ScalarStyle::Plain) => scalar::plain(&text),
        (None | Some(Some("str")), _) => Scalar::Text,
        (Some(Some(wanted @ ("null" | "bool" | "int" | "float"))), _) => {
            let value = scalar::plain(&text);
            let is_wanted = match (wanted, &value) {
                ("null", Scalar::Null) | ("bool", Scalar::Bool(_)) | ("float", Scalar::Number(_)) => true,
                ("int", Scalar::Number(number)) => number.is_i64() || number.is_u64(),
                _ => false,
            };
            if !is_wanted {
                return fault(at, format!("\"{text}\" has the tag !!{wanted}, but is none"));
            }
            value
        }
        (Some(_), _) => return unknown_tag(tag, at),
    };
    Ok(Node { data: Data::Scalar(value, text), at, size: 1, is_faulty: false })
}

fn collection_tag(tag: Option<&Tag>, own: &str, at: Mark) -> Result<(), Fault> {
    match tag {
        Some(used) if used.original() != "!" && used.core_suffix() != Some(own) => unknown_tag(tag, at),
        _ => Ok(()),
    }
}

fn unknown_tag<T>(tag: Option<&Tag>, at: Mark) -> Result<T, Fault> {
    fault(at, format!("the tag {} means nothing to Kubernetes", tag.map(Tag::original).unwrap_or_default()))
}

/// Keys are text; Kubernetes takes numbers and booleans as what they look like.
pub(super) fn key_text<'t>(node: &Node<'t>, at: Mark) -> Result<Cow<'t, str>, Fault> {
    match &node.data {
        Data::Scalar(Scalar::Text, text) => Ok(text.clone()),
        Data::Scalar(Scalar::Null, _) => Ok("null".into()),
        Data::Scalar(Scalar::Bool(value), _) => Ok(value.to_string().into()),
        Data::Scalar(Scalar::Number(value), _) => Ok(value.to_string().into()),
        Data::List(_) | Data::Map(_) => fault(at, "a list or a map cannot be a key"),
    }
}

fn fault<T>(at: Mark, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, message: message.into(), help: None })
}

#[cfg(test)]
mod tests;
