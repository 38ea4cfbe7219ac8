//! The YAML that most manifests are written in, read at a fraction of what a general parser costs.
//!
//! Block maps and lists, flow ones and JSON, scalars of one line, comments; in ASCII. Whatever has anything else in it (block
//! scalars, anchors, tags, escapes, tabs, a fault) is left to the general parser, whole. A property test holds this reader
//! to it: what it reads is the same tree, to the byte.

use super::{
    location::Mark,
    tree::{Node, OpenMap, Places, absent, key_text, limits, list_node, scalar_node},
};
use granit_parser::ScalarStyle;
use std::borrow::Cow;

/// What a document is.
#[derive(Debug)]
pub(super) enum Simple<'t> {
    /// Nothing but comments.
    Empty,
    Document(Node<'t>),
}

/// Reads the text of one document; `None` if it takes the general parser.
pub(super) fn document<'t>(text: &'t str, places: Places<'_>) -> Option<Simple<'t>> {
    let is_plain = |byte: &u8| matches!(byte, b'\n' | b' '..=b'~');
    if !text.as_bytes().iter().all(is_plain) {
        return None;
    }
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, line: 1, line_start: 0, depth: 0, places };
    if text.starts_with("---") {
        reader.at = 3;
        reader.end_of_line()?;
    }
    if !reader.content() {
        return Some(Simple::Empty);
    }
    let root = match reader.peek() {
        b'{' | b'[' => {
            let root = reader.flow(true)?;
            reader.end_of_line()?;
            reader.content();
            root
        }
        _ => reader.block()?,
    };
    (reader.at == text.len()).then_some(Simple::Document(root))
}

/// The longest key of one line that is read; YAML itself ends at 1,024 characters.
const LONGEST_KEY: usize = 512;

struct Reader<'t, 'p> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// From 1.
    line: usize,
    line_start: usize,
    depth: usize,
    places: Places<'p>,
}

/// A scalar of one line.
struct Word<'t> {
    text: &'t str,
    style: ScalarStyle,
    at: Mark,
}

impl<'t> Word<'t> {
    fn node(self) -> Option<Node<'t>> {
        scalar_node(Cow::Borrowed(self.text), self.style, None, self.at).ok()
    }

    fn key(self) -> Option<Cow<'t, str>> {
        if self.text.len() > LONGEST_KEY {
            return None;
        }
        match self.style {
            // A merge.
            ScalarStyle::Plain if self.text == "<<" => None,
            ScalarStyle::Plain => {
                let at = self.at;
                key_text(&scalar_node(Cow::Borrowed(self.text), self.style, None, at).ok()?, at).ok()
            }
            _ => Some(Cow::Borrowed(self.text)),
        }
    }
}

impl<'t> Reader<'t, '_> {
    /// The byte here; 0 at the end.
    fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn column(&self) -> usize {
        self.at - self.line_start
    }

    fn mark(&self, start: usize, end: usize) -> Mark {
        self.places.place(self.line, start - self.line_start, start..end)
    }

    fn skip_spaces(&mut self) {
        while self.peek() == b' ' {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.at += end + 1;
                self.line += 1;
                self.line_start = self.at;
            }
            None => self.at = self.bytes.len(),
        }
    }

    /// Whether a line may end here: at its end, or at a comment behind a space.
    fn is_end_of_line(&self) -> bool {
        match self.peek() {
            b'\n' | 0 => true,
            b'#' => self.at == self.line_start || self.bytes[self.at - 1] == b' ',
            _ => false,
        }
    }

    /// To the next line, over spaces and a comment. `None` if there is more on this one.
    fn end_of_line(&mut self) -> Option<()> {
        self.skip_spaces();
        if !self.is_end_of_line() {
            return None;
        }
        self.skip_line();
        Some(())
    }

    /// From the beginning of a line to what comes next; no if nothing does.
    fn content(&mut self) -> bool {
        loop {
            self.skip_spaces();
            if self.at == self.bytes.len() {
                return false;
            }
            if !self.is_end_of_line() {
                return true;
            }
            self.skip_line();
        }
    }

    fn is_entry(&self) -> bool {
        self.peek() == b'-' && matches!(self.peek_at(1), b' ' | b'\n' | 0)
    }

    /// Enters a list or map.
    fn deeper<R>(&mut self, read: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        self.depth += 1;
        // The general parser says what is wrong.
        let result = if self.depth < limits::DEPTH { read(self) } else { None };
        self.depth -= 1;
        result
    }

    /// A block list or map that begins here. Ends at the next line that is not its own.
    fn block(&mut self) -> Option<Node<'t>> {
        if self.is_entry() {
            self.deeper(|reader| reader.block_list(false))
        } else {
            self.deeper(Self::block_map)
        }
    }

    fn block_map(&mut self) -> Option<Node<'t>> {
        let indent = self.column();
        let begin = self.mark(self.at, self.at);
        let mut map = OpenMap::default();
        loop {
            let word = self.word(false)?;
            let (at, key) = (word.at, word.key()?);
            if self.peek() != b':' || !matches!(self.peek_at(1), b' ' | b'\n' | 0) {
                return None;
            }
            let colon = self.mark(self.at, self.at);
            self.at += 1;
            self.skip_spaces();
            let value = match self.is_end_of_line() {
                false => self.on_line(indent)?,
                true => {
                    self.skip_line();
                    match self.content() {
                        true if self.column() > indent => self.block()?,
                        true if self.column() == indent && self.is_entry() => {
                            self.deeper(|reader| reader.block_list(true))?
                        }
                        _ => absent(colon),
                    }
                }
            };
            map.insert(key, at, value);
            if !self.is_next(indent)? {
                return Some(map.close(begin));
            }
        }
    }

    /// Where the general parser says that the list and its empty entries are is behind the dash, and not at it, but for a list
    /// that is deeper than the map around it.
    fn block_list(&mut self, as_deep_as_map: bool) -> Option<Node<'t>> {
        let indent = self.column();
        let mut begin = self.mark(self.at, self.at);
        let mut items = Vec::new();
        loop {
            self.at += 1;
            self.skip_spaces();
            let behind_dash = self.mark(self.at, self.at);
            if as_deep_as_map && items.is_empty() {
                begin = behind_dash;
            }
            let item = match self.peek() {
                b'#' => return None,
                b'\n' | 0 => {
                    self.skip_line();
                    match self.content() && self.column() > indent {
                        true => self.block()?,
                        false => absent(behind_dash),
                    }
                }
                _ if self.is_entry() || self.is_key()? => self.block()?,
                _ => self.on_line(indent)?,
            };
            items.push(item);
            if !(self.is_next(indent)? && self.is_entry()) {
                return Some(list_node(items, begin));
            }
        }
    }

    /// Whether the next line is one of this indentation. `None` if it is deeper: what stands there belongs to nothing.
    fn is_next(&self, indent: usize) -> Option<bool> {
        let is_end = self.at == self.bytes.len();
        if !is_end && self.column() > indent {
            return None;
        }
        Some(!is_end && self.column() == indent)
    }

    /// Whether a key begins here.
    fn is_key(&mut self) -> Option<bool> {
        if matches!(self.peek(), b'{' | b'[') {
            return Some(false);
        }
        let from = self.at;
        self.word(false)?;
        let is_key = self.peek() == b':';
        self.at = from;
        Some(is_key)
    }

    /// A value that ends on this line. The next line goes on with it if it is deeper than `indent`.
    fn on_line(&mut self, indent: usize) -> Option<Node<'t>> {
        let value = match self.peek() {
            b'{' | b'[' => self.flow(false)?,
            _ => self.word(false)?.node()?,
        };
        self.end_of_line()?;
        let goes_on = self.content() && self.column() > indent;
        (!goes_on).then_some(value)
    }

    /// A flow list or map that begins here.
    fn flow(&mut self, many_lines: bool) -> Option<Node<'t>> {
        let begin = self.mark(self.at, self.at + 1);
        let is_map = self.peek() == b'{';
        self.at += 1;
        self.deeper(|reader| match is_map {
            true => reader.flow_map(begin, many_lines),
            false => reader.flow_list(begin, many_lines),
        })
    }

    fn flow_map(&mut self, begin: Mark, many_lines: bool) -> Option<Node<'t>> {
        let mut map = OpenMap::default();
        loop {
            self.flow_space(many_lines);
            if self.peek() == b'}' {
                self.at += 1;
                return Some(map.close(begin));
            }
            let word = self.word(true)?;
            let (at, is_quoted, key) = (word.at, word.style != ScalarStyle::Plain, word.key()?);
            if self.peek() != b':' || !(is_quoted || matches!(self.peek_at(1), b' ' | b'\n')) {
                return None;
            }
            self.at += 1;
            self.flow_space(many_lines);
            let value = self.in_flow(many_lines)?;
            map.insert(key, at, value);
            self.flow_end(b'}', many_lines)?;
        }
    }

    fn flow_list(&mut self, begin: Mark, many_lines: bool) -> Option<Node<'t>> {
        let mut items = Vec::new();
        loop {
            self.flow_space(many_lines);
            if self.peek() == b']' {
                self.at += 1;
                return Some(list_node(items, begin));
            }
            items.push(self.in_flow(many_lines)?);
            self.flow_end(b']', many_lines)?;
        }
    }

    fn in_flow(&mut self, many_lines: bool) -> Option<Node<'t>> {
        match self.peek() {
            b'{' | b'[' => self.flow(many_lines),
            _ => self.word(true)?.node(),
        }
    }

    /// A comma, or the end, which is left where it is.
    fn flow_end(&mut self, end: u8, many_lines: bool) -> Option<()> {
        self.flow_space(many_lines);
        match self.peek() {
            b',' => self.at += 1,
            byte if byte == end => {}
            _ => return None,
        }
        Some(())
    }

    fn flow_space(&mut self, many_lines: bool) {
        loop {
            match self.peek() {
                b' ' => self.at += 1,
                b'\n' if many_lines => self.skip_line(),
                _ => return,
            }
        }
    }

    /// A scalar that begins and ends on this line.
    fn word(&mut self, in_flow: bool) -> Option<Word<'t>> {
        let start = self.at;
        let style = match self.peek() {
            b'"' => ScalarStyle::DoubleQuoted,
            b'\'' => ScalarStyle::SingleQuoted,
            first if is_first(first, self.peek_at(1)) => ScalarStyle::Plain,
            _ => return None,
        };
        let rest = &self.bytes[start..];
        let (text, length) = match style {
            ScalarStyle::Plain => {
                let length = plain_length(rest, in_flow);
                (start..start + length, length)
            }
            _ => {
                let is_end = |byte: &u8| *byte == rest[0] || matches!(byte, b'\\' | b'\n');
                let length = rest[1..].iter().position(is_end)? + 2;
                let is_closed = rest[length - 1] == rest[0];
                // Two of them are one, as a character.
                if !is_closed || rest.get(length) == Some(&b'\'') && rest[0] == b'\'' {
                    return None;
                }
                (start + 1..start + length - 1, length)
            }
        };
        self.at += length;
        Some(Word { text: &self.text[text], style, at: self.mark(start, self.at) })
    }
}

/// Whether a plain scalar may begin with this byte, beyond all doubt.
fn is_first(first: u8, second: u8) -> bool {
    match first {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'/' => true,
        b'-' | b'.' => second.is_ascii_alphanumeric(),
        _ => false,
    }
}

/// How long a plain scalar is: up to a colon or comment, to what ends it in a flow, or to the end of the line.
fn plain_length(rest: &[u8], in_flow: bool) -> usize {
    let at = |index: usize| rest.get(index).copied().unwrap_or(0);
    let is_flow = |byte: u8| in_flow && matches!(byte, b',' | b'[' | b']' | b'{' | b'}');
    let mut end = 1;
    loop {
        match at(end) {
            b'\n' | 0 => break,
            b':' if matches!(at(end + 1), b' ' | b'\n' | 0) || is_flow(at(end + 1)) => break,
            b'#' if at(end - 1) == b' ' => break,
            byte if is_flow(byte) => break,
            _ => end += 1,
        }
    }
    while at(end - 1) == b' ' {
        end -= 1;
    }
    end
}
