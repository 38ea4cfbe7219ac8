//! A text as parts that can be read each by itself, and so by several threads at once.

use std::ops::Range;

/// Documents of a text that follow one another, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// How many lines end before it.
    pub(super) lines: usize,
    /// How many characters stand before it on its first line.
    pub(super) characters: usize,
}

/// Cuts a text between documents, as often as leaves every part but the last with `least` bytes or more.
///
/// A line that begins with `---` begins a document wherever it stands, in a block scalar or quotes too (YAML 1.2.2, 9.1.2).
/// A text with a directive is one part, since a directive stands before its document. Of JSON, where one object follows
/// another without a marker, as `kubectl` takes it and YAML does not, every object is a part.
#[must_use]
pub fn split(text: &str, least: usize) -> Vec<Part> {
    let starts = match json_starts(text) {
        Some(starts) => starts,
        None if least >= text.len() || has_directive(text) => Vec::new(),
        None => document_starts(text, least),
    };
    Part { bytes: 0..text.len(), lines: 0, characters: 0 }.cut(text, &starts)
}

impl Part {
    /// Its documents, as far as they are told apart by markers.
    pub(super) fn documents(&self, text: &str) -> Vec<Self> {
        let own = &text[self.bytes.clone()];
        let starts = if has_directive(own) { Vec::new() } else { document_starts(own, 0) };
        self.cut(text, &starts)
    }

    /// The parts of it that begin at its start and at these places behind it.
    fn cut(&self, text: &str, starts: &[usize]) -> Vec<Self> {
        let ends = starts.iter().map(|start| self.bytes.start + start).chain([self.bytes.end]);
        let mut parts: Vec<Self> = Vec::with_capacity(starts.len() + 1);
        for end in ends {
            let next = match parts.last() {
                None => Self { bytes: self.bytes.start..end, ..self.clone() },
                Some(last) => {
                    let before = &text[last.bytes.clone()];
                    let characters = match before.rfind(['\n', '\r']) {
                        Some(at) => before[at + 1..].chars().count(),
                        None => last.characters + before.chars().count(),
                    };
                    Self { bytes: last.bytes.end..end, lines: last.lines + line_ends(before), characters }
                }
            };
            parts.push(next);
        }
        parts
    }
}

/// Where documents begin that are cut off.
fn document_starts(text: &str, least: usize) -> Vec<usize> {
    let is_marker =
        |at: &usize| matches!(text.as_bytes().get(at + 3), None | Some(b' ' | b'\t' | b'\n' | b'\r'));
    let mut from = 0;
    let is_far_enough = |start: &usize| {
        let is_far_enough = start - from >= least;
        if is_far_enough {
            from = *start;
        }
        is_far_enough
    };
    text.match_indices("\n---").map(|(at, _)| at + 1).filter(is_marker).filter(is_far_enough).collect()
}

fn has_directive(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.starts_with('%') || text.contains("\n%") || text.contains("\r%")
}

/// Lines end at `\n`, `\r`, or both together.
fn line_ends(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    if !bytes.contains(&b'\r') {
        return ends;
    }
    let alone = |at: &usize| bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
    ends + (0..bytes.len()).filter(alone).count()
}

/// Where the second and later ones begin of several JSON objects; `None` if the text is anything else.
fn json_starts(text: &str) -> Option<Vec<usize>> {
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return None;
    }
    let mut starts = Vec::new();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                if depth == 0 {
                    starts.push(at);
                }
                depth += 1;
            }
            b'}' | b']' => depth = depth.checked_sub(1)?,
            // Quotes and comments of YAML.
            b'\'' | b'#' => return None,
            // Between objects there is nothing.
            _ if depth == 0 && !byte.is_ascii_whitespace() && at >= 3 => return None,
            _ => {}
        }
    }
    starts.remove(0);
    (!starts.is_empty()).then_some(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{parse, parse_part};
    use proptest::prelude::*;

    fn texts(text: &str, least: usize) -> Vec<&str> {
        split(text, least).into_iter().map(|part| &text[part.bytes]).collect()
    }

    #[test]
    fn documents_are_cut_where_their_markers_are() {
        let text = "a: 1\n---\nb: |\n  --- no\n ---\n--- # yes\n---- no\n---";
        assert_eq!(texts(text, 0), ["a: 1\n", "---\nb: |\n  --- no\n ---\n", "--- # yes\n---- no\n", "---"]);
        assert_eq!(texts(text, 6), ["a: 1\n---\nb: |\n  --- no\n ---\n", "--- # yes\n---- no\n", "---"]);
        assert_eq!(texts(text, usize::MAX), [text]);
        assert_eq!(texts("%TAG ! a\n---\nb: 1\n---\nc: 1\n", 0).len(), 1);
        assert_eq!(texts("", 0), [""]);
    }

    #[test]
    fn json_objects_may_follow_one_another() {
        let text = "{\"a\": \"} {\\\"\"}{\"b\": [{}]}\n\n {}\n";
        assert_eq!(texts(text, usize::MAX), ["{\"a\": \"} {\\\"\"}", "{\"b\": [{}]}\n\n ", "{}\n"]);
        for one in ["{\"a\": 1}", "{a: '} {'}", "{} # {\n", "{}\n---\n{}\n", "{}}{", "a: {}"] {
            assert_eq!(texts(one, usize::MAX), [one]);
        }
        let parsed = parse("a", "{\"apiVersion\":\"v1\"} {\"kind\":\"Pod\"}\n{\"kind\":\"é\"}{}");
        let places: Vec<_> = parsed.problems.iter().map(|p| (p.location.line, p.location.column)).collect();
        assert_eq!(places, [(1, 1), (1, 21), (2, 1), (2, 13)]);
    }

    fn document() -> impl Strategy<Value = String> {
        let line = prop::sample::select(vec![
            "apiVersion: v1\n",
            "kind: Namespace\n",
            "metadata: {name: a}\n",
            "metadata: {name: B}\r\n",
            "# é\n",
            "---\n",
            "--- \n",
            "---x: 1\n",
            " ---\n",
            "...\n",
            "a: |\n  text\n",
            "a: \"\n",
            "b: '\n",
            "- x\n",
            "c: [\n",
            "d: &x 1\n",
            "e: *x\n",
            "\r",
            "\n",
            "f: é\n",
            "f: 1\n",
            "\tg: 1\n",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: ok}\n",
        ]);
        prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
    }

    proptest! {
        /// What is read in parts is what is read at once, places included.
        #[test]
        fn parts_hold_what_the_text_holds(text in document(), least in 0..40_usize) {
            let whole = parse("a", &text);
            let mut parts = crate::manifest::Parsed::default();
            for part in split(&text, least) {
                parts.append(parse_part("a", &text, &part));
            }
            prop_assert_eq!(&parts.objects, &whole.objects);
            prop_assert_eq!(&parts.skipped, &whole.skipped);
            // A quote that a marker ends is unclosed to a part, which does not see the marker.
            let places = |parsed: &crate::manifest::Parsed| -> Vec<_> {
                parsed.problems.iter().map(|problem| problem.location.line).collect()
            };
            prop_assert_eq!(places(&parts), places(&whole));
        }
    }
}
