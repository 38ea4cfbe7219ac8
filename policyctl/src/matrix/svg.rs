//! A matrix as a picture: a heat map that stands by itself, readable in light and dark.

use super::{
    Matrix,
    sets::{SetId, Sets},
    table::words,
};
use policy_model::policy::Direction;
use std::fmt::Write;

/// Side of a cell.
const CELL: usize = 18;
/// Width of a letter of a label, about.
const LETTER: usize = 7;

/// One square a pair, rows are sources; green open, amber in part, red denied; the ports in the tooltip.
#[must_use]
pub fn svg(matrix: &Matrix) -> String {
    let shown: Vec<usize> = matrix.shown_nodes().collect();
    let names: Vec<String> =
        shown.iter().map(|node| matrix.nodes[*node].name.to_string()).chain(["outside".to_owned()]).collect();
    let margin = names.iter().map(|name| name.chars().count()).max().unwrap_or_default() * LETTER + 12;
    let side = margin + names.len() * CELL + 12;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{side}\" height=\"{side}\" role=\"img\">\n\
         <title>Who reaches whom</title>\n\
         <style>text{{font:12px sans-serif;fill:#1b1f24}}.a{{fill:#2da44e}}.p{{fill:#d4a72c}}.d{{fill:#cf222e}}.s{{fill:#afb8c1}}\
         @media (prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n"
    );
    for (index, name) in names.iter().enumerate() {
        let at = margin + index * CELL + CELL / 2;
        let name = escaped(name);
        let _ =
            writeln!(text, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>", margin - 6, at + 4);
        let _ = writeln!(
            text,
            "<text transform=\"translate({},{}) rotate(-90)\">{name}</text>",
            at + 4,
            margin - 6
        );
    }
    for row in 0..names.len() {
        for column in 0..names.len() {
            let (class, ports) = match (shown.get(row), shown.get(column)) {
                (Some(source), Some(destination)) if source != destination => {
                    of_set(matrix, matrix.inside.of(*source, *destination))
                }
                (Some(node), None) => of_outside(matrix, *node, Direction::Egress),
                (None, Some(node)) => of_outside(matrix, *node, Direction::Ingress),
                _ => ("s", "itself".to_owned()),
            };
            let (x, y, size) = (margin + column * CELL, margin + row * CELL, CELL - 1);
            let [from, to] = [row, column].map(|index| escaped(&names[index]));
            let _ = writeln!(
                text,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{size}\" height=\"{size}\"><title>{from} → {to}: {}</title></rect>",
                escaped(&ports)
            );
        }
    }
    text + "</svg>\n"
}

fn of_outside(matrix: &Matrix, node: usize, direction: Direction) -> (&'static str, String) {
    match &matrix.outside_sets(node, direction)[..] {
        [] => ("d", "denied".to_owned()),
        [one] if one.is_all() => ("a", "all".to_owned()),
        [one] => ("p", words(one)),
        _ => ("p", "some addresses".to_owned()),
    }
}

fn of_set(matrix: &Matrix, set: SetId) -> (&'static str, String) {
    match set {
        Sets::ALL => ("a", "all".to_owned()),
        Sets::NONE => ("d", "denied".to_owned()),
        set => ("p", words(matrix.sets.get(set))),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
