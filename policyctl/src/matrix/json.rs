//! `matrix -o json` and `-o yaml`, written row by row so that a large matrix is never in memory as text.

use super::{Connections, End, Matrix};
use crate::yaml;
use policy_model::portset::PortSet;
use serde_json::json;
use std::{
    collections::{HashMap, hash_map::Entry},
    io::{self, Write},
};

/// Writes `{"kind":"Matrix","rows":[…]}`, a row a line.
///
/// # Errors
/// Those of `out`.
pub fn write_json(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    // A large matrix has a million rows of few sets. The matrix holds each set in one place for as long as it lives, so that
    // the place tells which one it is, for less than its ports would.
    let mut known: HashMap<*const PortSet, Vec<u8>> = HashMap::new();
    let mut line = Vec::new();
    out.write_all(b"{\"kind\":\"Matrix\",\"rows\":[")?;
    let mut separator: &[u8] = b"\n";
    for row in matrix.rows() {
        let connections = match known.entry(row.ports) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(serde_json::to_vec(&Connections::of(row.ports))?),
        };
        line.clear();
        line.extend_from_slice(separator);
        line.extend_from_slice(b"{\"source\":");
        write_end(&row.source, &mut line)?;
        line.extend_from_slice(b",\"destination\":");
        write_end(&row.destination, &mut line)?;
        line.extend_from_slice(b",\"connections\":");
        line.extend_from_slice(connections);
        line.push(b'}');
        out.write_all(&line)?;
        separator = b",\n";
    }
    out.write_all(b"\n]}\n")
}

fn write_end(end: &End, line: &mut Vec<u8>) -> serde_json::Result<()> {
    match end {
        End::Inside(name) => serde_json::to_writer(line, &**name),
        End::Outside(_) => serde_json::to_writer(line, &end.to_string()),
    }
}

/// The same as YAML.
///
/// # Errors
/// Those of `out`.
pub fn write_yaml(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"kind: Matrix\n")?;
    let mut head: &[u8] = b"rows:\n";
    for row in matrix.rows() {
        let [source, destination] = [&row.source, &row.destination].map(ToString::to_string);
        let connections = Connections::of(row.ports);
        let row = json!([{ "source": source, "destination": destination, "connections": connections }]);
        out.write_all(head)?;
        out.write_all(yaml::to_yaml(&row).as_bytes())?;
        head = b"";
    }
    if head.is_empty() { Ok(()) } else { out.write_all(b"rows: []\n") }
}
