//! Tables that can be put to sleep and woken.

use compiler::{
    ir::{Family, Ruleset, TABLE},
    text::{self, Style},
};

/// Something that may stand in a packet's way: on every node some tables, asleep until they are woken.
#[derive(Clone, Debug)]
pub struct Contender {
    /// What it is called in the report.
    pub name: String,
    /// Its tables as nft names them, such as `inet one-100`.
    pub(super) tables: Vec<String>,
    /// By node, what loads them.
    pub(super) texts: Vec<String>,
}

impl Contender {
    /// Nothing at all: whatever else is awake goes to sleep.
    #[must_use]
    pub fn nothing(name: &str) -> Self {
        Self { name: name.to_owned(), tables: Vec::new(), texts: Vec::new() }
    }

    /// Tables of nft text, each given as its family, its name and its content; the same on every node.
    #[must_use]
    pub fn of_tables(name: &str, tables: &[(&str, &str, String)], nodes: usize) -> Self {
        let text: String = tables
            .iter()
            .map(|(family, table, content)| {
                format!("table {family} {table} {{\n\tflags dormant\n{content}}}\n")
            })
            .collect();
        Self {
            name: name.to_owned(),
            tables: tables.iter().map(|(family, table, _)| format!("{family} {table}")).collect(),
            texts: vec![text; nodes],
        }
    }

    /// One table of each node's compiled ruleset, called `table` here so that several can stand beside each other.
    #[must_use]
    pub fn of_rulesets(name: &str, table: &str, rulesets: &[Ruleset], family: Family) -> Self {
        let texts = rulesets.iter().map(|ruleset| {
            let mut ruleset = ruleset.clone();
            ruleset.tables.retain(|f, _| *f == family);
            let text = text::ruleset(&ruleset, Style::FULL);
            text.replacen(
                &format!("table {family} {TABLE} {{\n"),
                &format!("table {family} {table} {{\n\tflags dormant\n"),
                1,
            )
        });
        Self { name: name.to_owned(), tables: vec![format!("{family} {table}")], texts: texts.collect() }
    }
}
