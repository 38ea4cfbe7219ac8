//! Fuzz target of what people write on the command line: endpoints and ports are read or refused with a sentence, never a panic.
//! `cargo test` runs it on its corpus and on random input; `cargo dev fuzz endpoints` searches with coverage.

use policyctl::endpoint::{Endpoint, Target};

/// Pieces that arguments are made of, so that random ones come near to good ones.
const PIECES: [&str; 24] = [
    "prod", "/", "web", ":", "5432", "TCP", "[", "]", "app=web", " in (", "a,b", ")", "10.0.0.1", "fd00::1",
    "/24", "internet", "svc", "deploy", ":http", "!=", "!", "-", "65536", "é",
];

fn read(text: &str) {
    if let Err(error) = text.parse::<Target>() {
        assert!(!error.to_string().is_empty());
    }
    if let Err(error) = text.parse::<Endpoint>() {
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn endpoints_never_panic() {
    bolero::check!().with_type::<(String, Vec<u8>)>().for_each(|(random, pieces)| {
        read(random);
        let made: String = pieces.iter().map(|&piece| PIECES[usize::from(piece) % PIECES.len()]).collect();
        read(&made);
    });
}
