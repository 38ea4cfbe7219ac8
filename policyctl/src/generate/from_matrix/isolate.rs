//! Which pods to isolate in which direction: no more than it takes.

use super::plan::Plan;
use policy_model::{policy::Direction, portset::PortSet};

/// By direction: whether each kind is isolated.
pub(super) type Isolated = [Vec<bool>; 2];

/// A pod is isolated in a direction if something from or to outside is to be denied. Of a pair of pods that may not say
/// everything one side must be isolated: where neither is for another reason, the side that settles most such pairs, and of two
/// equal ones the destination.
pub(super) fn isolated(plan: &Plan<'_>) -> Isolated {
    let count = plan.kinds.len();
    let is_limited = |direction, subject, other| {
        plan.wish(direction, subject, other).as_ref().is_some_and(|ports: &PortSet| !ports.is_all())
    };
    let mut isolated = Direction::BOTH.map(|direction| {
        let by_outside =
            |kind: usize| (count..plan.others(direction)).any(|range| is_limited(direction, kind, range));
        (0..count).map(by_outside).collect::<Vec<bool>>()
    });
    let mut open: Vec<(usize, usize)> = (0..count)
        .flat_map(|source| (0..count).map(move |destination| (source, destination)))
        .filter(|(source, destination)| is_limited(Direction::Egress, *source, *destination))
        .collect();
    loop {
        open.retain(|(source, destination)| {
            !isolated[Direction::Egress as usize][*source]
                && !isolated[Direction::Ingress as usize][*destination]
        });
        let mut settles = [vec![0usize; count], vec![0usize; count]];
        for (source, destination) in &open {
            settles[Direction::Ingress as usize][*destination] += 1;
            settles[Direction::Egress as usize][*source] += 1;
        }
        let sides = Direction::BOTH
            .into_iter()
            .rev()
            .flat_map(|direction| (0..count).map(move |kind| (direction, kind)));
        let best = sides.max_by_key(|(direction, kind)| settles[*direction as usize][*kind]);
        match best.filter(|(direction, kind)| settles[*direction as usize][*kind] > 0) {
            Some((direction, kind)) => isolated[direction as usize][kind] = true,
            None => return isolated,
        }
    }
}
