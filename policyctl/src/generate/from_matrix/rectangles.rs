//! Subjects by others, covered by as few rectangles as can be found: each becomes one rule.

use super::plan::Plan;
use policy_model::{policy::Direction, portset::PortSet};
use std::collections::BTreeSet;

type Set = BTreeSet<usize>;

/// Subjects that may all talk to the same others on the same ports.
pub(super) struct Rectangle {
    /// Who must have the rule.
    pub(super) subjects: Set,
    /// Who may have it: [`Self::subjects`], and others for whom it is no harm.
    pub(super) allowed_subjects: Set,
    /// Whom the rule must name: kinds, and ranges by their number after the kinds.
    pub(super) others: Set,
    pub(super) ports: PortSet,
}

/// Covers what the isolated subjects of a namespace want in a direction. The largest rectangle first, again and again.
pub(super) fn cover(plan: &Plan<'_>, direction: Direction, subjects: &Set) -> Vec<Rectangle> {
    let wish = |subject: usize, other: usize| plan.wish(direction, subject, other).as_ref();
    let all: Vec<usize> = (0..plan.others(direction)).collect();
    let mut sets: Vec<&PortSet> = subjects
        .iter()
        .flat_map(|subject| all.iter().filter_map(|other| wish(*subject, *other)))
        .filter(|ports| !ports.is_empty())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    sets.sort_by_key(|ports| {
        Direction::BOTH.len() + ports.iter().map(|(_, lo, hi)| usize::from(hi - lo) + 1).sum::<usize>()
    });
    let mut rectangles = Vec::new();
    for ports in sets {
        let mut open: BTreeSet<(usize, usize)> = subjects
            .iter()
            .flat_map(|subject| all.iter().map(move |other| (*subject, *other)))
            .filter(|(subject, other)| wish(*subject, *other) == Some(ports))
            .collect();
        let allowed = |subject: usize, other: usize| plan.may(direction, subject, other, ports);
        while !open.is_empty() {
            let Some((subjects_of, others)) = largest(&open, &allowed) else { break };
            open.retain(|(subject, other)| !(subjects_of.contains(subject) && others.contains(other)));
            let is_harmless = |subject: &&usize| others.iter().all(|other| allowed(**subject, *other));
            rectangles.push(Rectangle {
                allowed_subjects: subjects.iter().filter(is_harmless).copied().collect(),
                subjects: subjects_of,
                others,
                ports: ports.clone(),
            });
        }
    }
    rectangles
}

/// The rectangle of allowed pairs that settles most open ones, grown from a row or a column.
fn largest(open: &BTreeSet<(usize, usize)>, allowed: &impl Fn(usize, usize) -> bool) -> Option<(Set, Set)> {
    let rows: Set = open.iter().map(|(subject, _)| *subject).collect();
    let columns: Set = open.iter().map(|(_, other)| *other).collect();
    let from_row = |row: &usize| {
        let others: Set = columns.iter().copied().filter(|other| allowed(*row, *other)).collect();
        let subjects: Set =
            rows.iter().copied().filter(|row| others.iter().all(|other| allowed(*row, *other))).collect();
        (subjects, others)
    };
    let from_column = |column: &usize| {
        let subjects: Set = rows.iter().copied().filter(|row| allowed(*row, *column)).collect();
        let others: Set = columns
            .iter()
            .copied()
            .filter(|other| subjects.iter().all(|row| allowed(*row, *other)))
            .collect();
        (subjects, others)
    };
    // Equal rows grow into equal rectangles.
    let candidates: BTreeSet<(Set, Set)> =
        rows.iter().map(from_row).chain(columns.iter().map(from_column)).collect();
    let settled = |(subjects, others): &(Set, Set)| {
        open.iter().filter(|(subject, other)| subjects.contains(subject) && others.contains(other)).count()
    };
    let best = candidates
        .into_iter()
        .max_by_key(|one| (settled(one), std::cmp::Reverse(one.0.len() + one.1.len())))?;
    let (subjects, others) = &best;
    // What is open in no row of it needs no rule.
    let is_open = |subject: usize, other: usize| open.contains(&(subject, other));
    let kept_subjects = subjects.iter().copied().filter(|s| others.iter().any(|o| is_open(*s, *o))).collect();
    let kept_others = others.iter().copied().filter(|o| subjects.iter().any(|s| is_open(*s, *o))).collect();
    Some((kept_subjects, kept_others))
}
