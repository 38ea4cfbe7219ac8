//! A matrix for a terminal: a grid, of which columns drop from the right where it is too wide; a line a pair where most would.

use super::{
    Connections, End, Matrix, Summary,
    sets::{SetId, Sets},
};
use crate::{
    explain::wrapped,
    style::{Style, Tone},
};
use policy_model::{
    policy::Direction,
    portset::PortSet,
    reach::{AddressRange, Reach},
};

/// The widest cell of a grid.
const CELL: usize = 20;

/// `matrix` for people. Ends with a summary line.
#[must_use]
pub fn table(matrix: &Matrix, style: Style) -> String {
    let shown: Vec<usize> = matrix.shown_columns();
    // Of a grid that is wider by far there would be little to see.
    let is_small = !shown.is_empty() && shown.len() * 3 < style.width;
    let grid = is_small.then(|| grid(matrix, &shown, style)).flatten();
    format!("{}{}", grid.unwrap_or_else(|| list(matrix, style)), wrapped("", &summary(matrix), style.width))
}

/// A text and how it looks.
type Cell = (String, Tone);

/// `None` if not even its first column fits.
fn grid(matrix: &Matrix, shown: &[usize], style: Style) -> Option<String> {
    let own = || ("·".to_owned(), Tone::Faint);
    let name = |name: &str| (name.to_owned(), Tone::Plain);
    let names: Vec<String> = shown.iter().map(|node| matrix.short_name(*node)).collect();
    let heads = std::iter::once("FROM → TO").chain(names.iter().map(String::as_str)).chain(["outside"]);
    let mut rows: Vec<Vec<Cell>> = vec![heads.map(|head| (head.to_owned(), Tone::Faint)).collect()];
    for (source, source_name) in shown.iter().zip(&names) {
        let inside = shown.iter().map(|destination| match source == destination {
            true => own(),
            false => matrix.cell(matrix.inside.of(*source, *destination)),
        });
        let outside = matrix.outside_cell(*source, Direction::Egress);
        rows.push(std::iter::once(name(source_name)).chain(inside).chain([outside]).collect());
    }
    let inside = shown.iter().map(|node| matrix.outside_cell(*node, Direction::Ingress));
    rows.push(std::iter::once(name("outside")).chain(inside).chain([own()]).collect());

    let length = |cell: &Cell| cell.0.chars().count();
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| length(&row[column])).max().unwrap_or(0))
        .collect();
    let mut end = 0;
    let ends = widths.iter().enumerate().map(|(index, width)| {
        end += width + if index == 0 { 0 } else { GAP };
        end
    });
    let fitting = ends.take_while(|end| *end <= style.width).count();
    if fitting < 2 {
        return None;
    }
    let mut text = String::new();
    for row in &rows {
        for (index, (cell, width)) in row.iter().zip(&widths).take(fitting).enumerate() {
            let is_last = index + 1 == fitting;
            text += &style.paint(cell.1, &cell.0);
            text += &" ".repeat(if is_last { 0 } else { width - length(cell) + GAP });
        }
        text += "\n";
    }
    let left_out: Vec<&str> = rows[0][fitting..].iter().map(|(name, _)| name.as_str()).collect();
    if !left_out.is_empty() {
        let (word, all) = (if left_out.len() == 1 { "columns is" } else { "columns are" }, widths.len() - 1);
        let note = format!(
            "{} of {all} {word} left out ({}): a wider terminal shows more, -o csv everything.",
            left_out.len(),
            left_out.join(", ")
        );
        text += &wrapped("", &note, style.width);
    }
    Some(text)
}

/// Spaces between the columns of a grid.
const GAP: usize = 2;

/// Three columns; written by hand because a large matrix has a million lines.
fn list(matrix: &Matrix, style: Style) -> String {
    let rows: Vec<[String; 3]> =
        matrix.merged_rows().into_iter().map(|(from, to, ports)| [from, to, words(&ports)]).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(4);
    let (from, to) = (width(0), width(1));
    if rows.is_empty() {
        return String::new();
    }
    let head = format!("{:from$}  {:to$}  PORTS", "FROM", "TO");
    let mut text = style.paint(Tone::Faint, &head) + "\n";
    for [source, destination, ports] in rows {
        text += &format!("{source:from$}  {destination:to$}  {ports}\n");
    }
    text
}

/// `5432/TCP 53/UDP`, or `all`.
#[must_use]
pub fn words(ports: &PortSet) -> String {
    let items = Connections::exactly(ports).into_iter().map(|item| match item.protocol {
        "ANY" => "all".to_owned(),
        "OTHER" => "ICMP and the like".to_owned(),
        protocol => format!("{}/{protocol}", item.ports),
    });
    items.collect::<Vec<_>>().join(" ")
}

fn summary(matrix: &Matrix) -> String {
    let shown: Vec<usize> = matrix.shown_columns();
    let (mut all, mut part, mut denied) = (0, 0, 0);
    for source in &shown {
        for (begin, end, set) in matrix.inside.stretches(*source) {
            let within = [begin, end].map(|at| shown.partition_point(|node| *node < at));
            let count = within[1] - within[0] - usize::from((begin..end).contains(source));
            match set {
                Sets::ALL => all += count,
                Sets::NONE => denied += count,
                _ => part += count,
            }
        }
    }
    let what = if shown.len() == 1 { "row" } else { "rows" };
    let mut text = format!("{} {what}, {} ordered pairs: ", shown.len(), all + part + denied);
    text += &format!("{all} open, {part} in part, {denied} denied.");
    const NAMED: usize = 8;
    let open = matrix.open_sides();
    if !open.is_empty() {
        let word = |open: &OpenSide| match (open.ingress, open.egress) {
            (true, true) if !open.host_network => open.name.clone(),
            _ => format!("{} ({})", open.name, open.words()),
        };
        let named = open.iter().take(NAMED).map(word).collect::<Vec<_>>().join(", ");
        let more = open.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!(" Not isolated: {named}{more}.");
    }
    text + "\n"
}

impl Matrix {
    /// The rows that are to be seen: with a namespace, those in it and those that have to do with it.
    fn shown_columns(&self) -> Vec<usize> {
        let mut shown = vec![false; self.nodes.len()];
        self.shown_nodes().for_each(|node| shown[node] = true);
        for (source, destination, _) in self.inside.filled().filter(|_| self.namespace.is_some()) {
            if self.shows([source, destination]) {
                (shown[source], shown[destination]) = (true, true);
            }
        }
        (0..shown.len()).filter(|node| shown[*node]).collect()
    }

    /// The name without what all names have in common.
    fn short_name(&self, node: usize) -> String {
        let name = &*self.nodes[node].name;
        let name = name.split_once('[').map_or(name, |(name, _)| name);
        let same =
            |other: &super::Summary| other.name.split_once('[').map_or(&*other.name, |(n, _)| n) == name;
        let name = if self.nodes.iter().filter(|other| same(other)).count() > 1 {
            &*self.nodes[node].name
        } else {
            name
        };
        match &self.namespace {
            Some(namespace) => name.strip_prefix(&format!("{namespace}/")).unwrap_or(name).to_owned(),
            None => name.to_owned(),
        }
    }

    fn cell(&self, set: SetId) -> Cell {
        match set {
            Sets::NONE => denied(),
            set => allowed(self.sets.get(set)),
        }
    }

    /// One word for all addresses outside: the same set for each, or that they differ.
    fn outside_cell(&self, node: usize, direction: Direction) -> Cell {
        match &self.outside_sets(node, direction)[..] {
            [] => denied(),
            [one] => allowed(one),
            _ => ("some".to_owned(), Tone::Unsure),
        }
    }

    /// What may pass with the outside: each set once, the empty one too if there are others.
    pub(super) fn outside_sets(&self, node: usize, direction: Direction) -> Vec<PortSet> {
        let mut sets: Vec<PortSet> =
            self.outside_of(node, direction).map(|(_, _, ports)| ports.clone()).collect();
        let (filled, all) = (sets.len(), self.ranges[direction as usize].len());
        sets.sort();
        sets.dedup();
        if filled > 0 && filled < all {
            sets.insert(0, PortSet::none());
        }
        sets
    }

    /// Rows for people: neighbouring ranges with the same ports are one.
    pub(super) fn merged_rows(&self) -> Vec<(String, String, PortSet)> {
        let inside = self
            .rows()
            .filter(|row| matches!((&row.source, &row.destination), (End::Inside(_), End::Inside(_))));
        let mut rows: Vec<_> = inside
            .map(|row| (row.source.to_string(), row.destination.to_string(), row.ports.clone()))
            .collect();
        for direction in Direction::BOTH {
            for node in self.shown_nodes() {
                let name = self.nodes[node].name.to_string();
                for (range, ports) in outside_words(&self.outside[direction as usize][node]) {
                    rows.push(match direction {
                        Direction::Ingress => (range, name.clone(), ports),
                        Direction::Egress => (name.clone(), range, ports),
                    });
                }
            }
        }
        rows
    }

    /// What some pod of each row that is shown is not isolated in.
    #[must_use]
    pub fn open_sides(&self) -> Vec<OpenSide> {
        let of_node = |node| {
            let Summary { name, isolated: [ingress, egress], host_network, .. } = &self.nodes[node];
            OpenSide {
                name: name.to_string(),
                ingress: !ingress,
                egress: !egress,
                host_network: *host_network,
            }
        };
        let open = self.shown_nodes().map(of_node);
        open.filter(|open| open.ingress || open.egress).collect()
    }
}

/// A workload of which some pod is not isolated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSide {
    /// `ns/name[Kind]`.
    pub name: String,
    /// Everything may come in.
    pub ingress: bool,
    /// Everything may go out.
    pub egress: bool,
    /// It is on its node's network, where no policy selects it.
    pub host_network: bool,
}

impl OpenSide {
    /// `ingress`, `egress`, `ingress and egress`, `host network`.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match (self.host_network, self.ingress, self.egress) {
            (true, ..) => "host network",
            (_, true, true) => "ingress and egress",
            (_, true, false) => "ingress",
            (_, false, _) => "egress",
        }
    }
}

fn denied() -> Cell {
    ("–".to_owned(), Tone::Bad)
}

/// The ports, cut off where they are many.
fn allowed(ports: &PortSet) -> Cell {
    let text = words(ports);
    let text = match text.chars().count() > CELL {
        true => format!("{}…", text.chars().take(CELL - 1).collect::<String>()),
        false => text,
    };
    (text, if ports.is_all() { Tone::Good } else { Tone::Unsure })
}

/// The ranges of a reach as people read them: `anywhere` for all of both families, else a line a range.
pub(crate) fn outside_words(reach: &Reach) -> Vec<(String, PortSet)> {
    let ranges: Vec<_> = reach.ranges().collect();
    let whole = |range: &(std::net::IpAddr, std::net::IpAddr, &PortSet)| {
        AddressRange { lo: range.0, hi: range.1 }.to_string().ends_with("/0")
    };
    match &ranges[..] {
        [v4] if whole(v4) && v4.0.is_ipv4() => vec![("any IPv4 address".to_owned(), v4.2.clone())],
        [v4, v6] if whole(v4) && whole(v6) && v4.2 == v6.2 => vec![("any address".to_owned(), v4.2.clone())],
        _ => ranges
            .into_iter()
            .map(|(lo, hi, ports)| (AddressRange { lo, hi }.to_string(), ports.clone()))
            .collect(),
    }
}
