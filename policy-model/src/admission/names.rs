//! The syntax of names: each function says which part of its rule a text breaks.
//!
//! Sources: RFC 1123 for DNS labels and subdomains, RFC 6335 section 5.1 for port names, the Kubernetes documentation
//! "Labels and Selectors" for keys and values.

/// What is broken.
type Broken = &'static str;

const MAX_SUBDOMAIN: usize = 253;
const MAX_LABEL: usize = 63;
const MAX_PORT_NAME: usize = 15;

/// A name of one part, such as a namespace's.
pub(super) fn dns_label(text: &str) -> Result<(), Broken> {
    match text.len() {
        0 => return Err("it is empty"),
        1..=MAX_LABEL => {}
        _ => return Err("it is longer than 63 characters"),
    }
    if !text.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-') {
        return Err("only lower case letters, digits and '-' may be in it");
    }
    if !ends_with(text, is_lower_alphanumeric) {
        return Err("it must begin and end with a lower case letter or digit");
    }
    Ok(())
}

/// A name of parts with dots between them, such as a pod's or a policy's.
pub(super) fn dns_subdomain(text: &str) -> Result<(), Broken> {
    match text.len() {
        0 => return Err("it is empty"),
        1..=MAX_SUBDOMAIN => {}
        _ => return Err("it is longer than 253 characters"),
    }
    if !text.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-' || b == b'.') {
        return Err("only lower case letters, digits, '-' and '.' may be in it");
    }
    if !text.split('.').all(|part| ends_with(part, is_lower_alphanumeric)) {
        return Err("each part between dots must begin and end with a lower case letter or digit");
    }
    Ok(())
}

/// A label key: a name, or a DNS subdomain, a slash and a name.
pub(super) fn qualified_name(text: &str) -> Result<(), Broken> {
    let name = match text.split_once('/') {
        Some((prefix, name)) => {
            dns_subdomain(prefix).map_err(|_| "what is before the '/' must be a DNS subdomain")?;
            name
        }
        None => text,
    };
    if name.contains('/') {
        return Err("there may be one '/' in it");
    }
    if name.is_empty() {
        return Err("the name is empty");
    }
    label_value(name)
}

/// A label value: empty, or up to 63 letters, digits, `-`, `_` and `.` with a letter or digit at both ends.
pub(super) fn label_value(text: &str) -> Result<(), Broken> {
    if text.len() > MAX_LABEL {
        return Err("it is longer than 63 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err("only letters, digits, '-', '_' and '.' may be in it");
    }
    if !text.is_empty() && !ends_with(text, |b| b.is_ascii_alphanumeric()) {
        return Err("it must begin and end with a letter or digit");
    }
    Ok(())
}

/// A port's name: an IANA service name in lower case.
pub(super) fn port_name(text: &str) -> Result<(), Broken> {
    match text.len() {
        0 => return Err("it is empty"),
        1..=MAX_PORT_NAME => {}
        _ => return Err("it is longer than 15 characters"),
    }
    if !text.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-') {
        return Err("only lower case letters, digits and '-' may be in it");
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err("there must be a letter in it");
    }
    if text.contains("--") {
        return Err("it must not have two '-' in a row");
    }
    if !ends_with(text, is_lower_alphanumeric) {
        return Err("it must begin and end with a lower case letter or digit");
    }
    Ok(())
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether the first and the last byte are of a kind; not so for an empty text.
fn ends_with(text: &str, kind: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| kind(*b)) && bytes.last().is_some_and(|b| kind(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line: the rule, what it takes, what it refuses.
    macro_rules! syntax {
        ($($name:ident: $rule:expr, takes [$($good:expr),*], refuses [$($bad:expr),*];)*) => {$(
            #[test]
            fn $name() {
                $(assert_eq!($rule($good), Ok(()), "{:?}", $good);)*
                $(assert!($rule($bad).is_err(), "{:?} must be refused", $bad);)*
            }
        )*};
    }

    syntax! {
        dns_labels: dns_label,
            takes ["a", "a-b", "0", &"a".repeat(63)],
            refuses ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(64)];
        dns_subdomains: dns_subdomain,
            takes ["a", "a.b-c.d", "0.1", &"a".repeat(253)],
            refuses ["", ".a", "a.", "a..b", "a.-b", "A.b", "a/b", &"a".repeat(254)];
        label_keys: qualified_name,
            takes ["app", "App_1.x-y", "app.kubernetes.io/name", &"a".repeat(63)],
            refuses ["", "/", "a/", "/a", "a/b/c", "A.io/b", "-a", "a b", "ä", &"a".repeat(64)];
        label_values: label_value,
            takes ["", "a", "A_b.c-9", &"a".repeat(63)],
            refuses ["-", "a-", ".a", "a b", "a/b", "ä", &"a".repeat(64)];
        port_names: port_name,
            takes ["http", "a", "a-1", "1a", "abcdefghijklmno"],
            refuses ["", "80", "-a", "a-", "a--b", "Http", "a_b", "abcdefghijklmnop"];
    }
}
