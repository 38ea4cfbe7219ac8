//! `matrix -o json` and `-o yaml`, written row by row so that a large matrix is never in memory as text.

use super::{Connections, Matrix};
use crate::yaml;
use policy_model::portset::PortSet;
use serde::Serialize;
use serde_json::json;
use std::{
    collections::HashMap,
    io::{self, Write},
};

#[derive(Serialize)]
struct Row<'a> {
    source: &'a str,
    destination: &'a str,
    connections: &'a [Connections],
}

/// Writes `{"kind":"Matrix","rows":[…]}`, a row a line.
///
/// # Errors
/// Those of `out`.
pub fn write_json(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let mut known: HashMap<&PortSet, Vec<Connections>> = HashMap::new();
    out.write_all(b"{\"kind\":\"Matrix\",\"rows\":[")?;
    let mut separator = "\n";
    for row in matrix.rows() {
        let connections = known.entry(row.ports).or_insert_with(|| Connections::of(row.ports));
        out.write_all(separator.as_bytes())?;
        let [source, destination] = [&row.source, &row.destination].map(ToString::to_string);
        let row = Row { source: &source, destination: &destination, connections };
        serde_json::to_writer(&mut *out, &row)?;
        separator = ",\n";
    }
    out.write_all(b"\n]}\n")
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
