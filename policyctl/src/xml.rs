//! Text within XML and HTML.

/// For the text of an attribute in double quotes. Characters that XML 1.0 cannot hold become `�`.
#[must_use]
pub(crate) fn escaped(text: &str) -> String {
    escape(text, true)
}

/// For the text of an element: line ends stay.
#[must_use]
pub(crate) fn escaped_text(text: &str) -> String {
    escape(text, false)
}

fn escape(text: &str, in_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' if in_attribute => out.push_str(if c == '\n' { "&#10;" } else { "&#9;" }),
            '\n' | '\t' => out.push(c),
            // XML 1.0, production 2 (Char).
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_attribute_or_opens_an_element() {
        assert_eq!(escaped("a<b>&\"'\n\u{1}"), "a&lt;b&gt;&amp;&quot;&#39;&#10;\u{fffd}");
        assert_eq!(escaped_text("]]>\n"), "]]&gt;\n");
    }
}
