//! A fix as text and as JSON.

use super::{Fix, Goal, Move, edit::Action, moved::Place};
use crate::{
    explain::wrapped,
    manifest,
    matrix::Connections,
    style::{Style, Tone},
    yaml,
};
use policy_model::portset::PortSet;
use serde_json::{Value, json};
use std::fmt::Write;

/// How many moves are named.
const NAMED: usize = 4;

impl Fix {
    /// For people: what it also moves, then the change.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let what = match self.goal {
            Goal::Allow => "Smallest change that allows it",
            Goal::Deny => "Smallest change that stops it",
        };
        let heading = format!("{what} (evaluated again; {})", self.also_words());
        let mut lines = wrapped("  ", &heading, style.width);
        lines = lines.replacen(what, &style.paint(Tone::Strong, what), 1);
        for (edit, place) in self.edits.iter().zip(&self.places) {
            let place = place.as_ref().map(|place| format!("{place}, ")).unwrap_or_default();
            let (sign, tone) = match edit.action {
                Action::Remove => ('-', Tone::Bad),
                _ => ('+', Tone::Good),
            };
            let comment = match edit.action {
                Action::Create => "# a new policy".to_owned(),
                Action::Add => format!("# {place}{} {}: add", edit.policy, edit.field),
                Action::Remove => format!("# {place}{} {}: remove", edit.policy, edit.field),
                Action::Replace => format!("# {place}{} {}: put in its place", edit.policy, edit.field),
            };
            let _ = writeln!(lines, "    {}", style.paint(Tone::Faint, &comment));
            for line in yaml::to_yaml(&edit.value).lines() {
                let _ = writeln!(lines, "    {}", style.paint(tone, &format!("{sign} {line}")));
            }
        }
        lines
    }

    /// For programs, with the changed policies whole.
    #[must_use]
    pub fn json(&self) -> Value {
        let changes = self.edits.iter().zip(&self.places).map(|(edit, place)| {
            json!({
                "policy": edit.policy.to_string(),
                "action": edit.action.word(),
                "field": edit.field.to_string(),
                "place": place,
                "value": edit.value,
                "yaml": yaml::to_yaml(&edit.value),
            })
        });
        let moves = |ports: fn(&Move) -> &PortSet| -> Value {
            let moved = self.also.iter().filter(|moved| !ports(moved).is_empty());
            moved.map(|moved| move_json(moved, ports(moved))).collect()
        };
        json!({
            "changes": changes.collect::<Vec<_>>(),
            "manifests": self.policies.iter().map(manifest::policy).collect::<Vec<_>>(),
            "alsoAllows": moves(|moved| &moved.gained),
            "alsoDenies": moves(|moved| &moved.lost),
        })
    }

    /// `nothing else moves`, or `also lets prod/a, prod/b and 3 more reach prod/db-0`.
    fn also_words(&self) -> String {
        if self.also.is_empty() {
            return "nothing else moves".to_owned();
        }
        let parts = [
            ("also allows", self.also.iter().filter(|moved| !moved.gained.is_empty()).collect::<Vec<_>>()),
            ("also stops", self.also.iter().filter(|moved| !moved.lost.is_empty()).collect()),
        ];
        let said = parts.into_iter().filter(|(_, moves)| !moves.is_empty()).map(|(word, moves)| {
            let names: Vec<_> = moves
                .iter()
                .take(NAMED)
                .map(|moved| format!("{} → {}", moved.source, moved.destination))
                .collect();
            let more = moves.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more pairs") } else { String::new() };
            format!("{word} {}{more}", names.join(", "))
        });
        said.collect::<Vec<_>>().join("; ")
    }
}

fn move_json(moved: &Move, ports: &PortSet) -> Value {
    let [source, destination] = [&moved.source, &moved.destination].map(Place::to_string);
    json!({ "source": source, "destination": destination, "connections": Connections::exactly(ports) })
}
