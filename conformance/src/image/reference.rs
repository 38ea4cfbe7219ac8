//! The name of an image.

use super::ImageError;
use std::fmt;

/// A full name: registry, path and tag, such as `ghcr.io/palisade-policy/policyd:0.1.0`. Nothing is filled in: a container runtime
/// keeps images by their full names, so that a short one would not be found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    whole: String,
    /// Where the colon before the tag is.
    colon: usize,
}

impl Reference {
    /// Checks a name.
    ///
    /// # Errors
    /// [`ImageError::Reference`]: no registry (a first part with a dot or a port, or `localhost`), no tag, or a letter that
    /// the grammar of the OCI Distribution Specification does not have there.
    pub fn new(name: &str) -> Result<Self, ImageError> {
        let wrong = || ImageError::Reference(name.to_owned());
        let (registry, rest) = name.split_once('/').ok_or_else(wrong)?;
        let (path, tag) = rest.split_once(':').ok_or_else(wrong)?;
        let is_valid = is_registry(registry) && path.split('/').all(is_part) && is_tag(tag);
        if is_valid {
            Ok(Self { whole: name.to_owned(), colon: name.len() - tag.len() - 1 })
        } else {
            Err(wrong())
        }
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.whole[self.colon + 1..]
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

fn is_registry(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    (text.contains(['.', ':']) || text == "localhost")
        && text.chars().all(is_plain)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A part of the path: small letters and digits, joined by single separators.
fn is_part(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_inner)
        && text.ends_with(is_inner)
        && text.chars().all(|c| is_inner(c) || matches!(c, '.' | '_' | '-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=128).contains(&text.len())
        && text.starts_with(is_word)
        && text.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_taken_and_short_or_wrong_ones_are_not() {
        for name in [
            "ghcr.io/a/b:1",
            "localhost/x:latest",
            "registry.k8s.io/e2e-test-images/agnhost:2.59",
            "h:5000/a:1",
        ] {
            assert_eq!(Reference::new(name).unwrap().to_string(), name);
        }
        assert_eq!(Reference::new("h:5000/a:v1.2").unwrap().tag(), "v1.2");
        for name in [
            "pause:3",
            "a/b:1",
            "ghcr.io/a",
            "ghcr.io/A:1",
            "ghcr.io//a:1",
            "ghcr.io/a:",
            "ghcr.io/a:-x",
            "ghcr.io/a:x/y",
        ] {
            assert!(Reference::new(name).is_err(), "{name}");
        }
    }
}
