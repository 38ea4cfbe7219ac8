//! A matrix as a table for other programs: CSV and Markdown.

use super::{Matrix, table::words};

/// `source,destination,ports` with a head line; the rows of `-o json`, a pair a line (RFC 4180).
#[must_use]
pub fn csv(matrix: &Matrix) -> String {
    let quoted = |text: &str| match text.contains(['"', ',', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let rows = matrix.rows().map(|row| {
        let cells = [row.source.to_string(), row.destination.to_string(), words(row.ports)];
        cells.map(|cell| quoted(&cell)).join(",") + "\n"
    });
    std::iter::once("source,destination,ports\n".to_owned()).chain(rows).collect()
}

/// A table in Markdown; neighbouring external ranges with the same ports are one.
#[must_use]
pub fn markdown(matrix: &Matrix) -> String {
    let rows = matrix.merged_rows().into_iter().map(|(source, destination, ports)| {
        let cells = [source, destination, words(&ports)].map(|cell| cell.replace('|', "\\|"));
        format!("| {} |\n", cells.join(" | "))
    });
    let head = "| from | to | ports |\n| --- | --- | --- |\n".to_owned();
    std::iter::once(head).chain(rows).collect()
}
