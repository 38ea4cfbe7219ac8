//! A round in which a promise was broken: made smaller, and kept.

use super::{
    error::EndureError,
    round::Round,
    tally::{Broken, Tally},
    world::World,
};
use crate::{enforced::Manifests, random::Draw};
use policy_model::cluster::Cluster;
use std::{fs, path::Path};

/// How often a round is tried without something before that counts as needed. What depends on time does not fail each time.
const TRIES: u32 = 3;

/// Writes the state before, the state after and what was broken into a folder; and the smallest state before in which the
/// round still breaks something, if it does at all when it is done again. The world ends in the state `after`.
pub(super) fn keep(
    world: &mut World,
    folder: &Path,
    seed: u64,
    before: &Cluster,
    after: &Cluster,
    broken: &[Broken],
    tell: &mut dyn FnMut(&str),
) -> Result<(), EndureError> {
    write(folder, "before", before)?;
    write(folder, "after", after)?;
    let round = Round::draw(&mut Draw::new(seed), world.is_served());
    let mut text = format!("{round}\n\nRound seed {seed}.\n\n");
    broken.iter().for_each(|promise| text += &format!("{promise}\n"));
    // Pods that were replaced have other addresses now: the state before can't be had again.
    if !matches!(round, Round::Replace(_)) {
        tell("  it is tried again, with fewer policies each time");
        match shrink(world, seed, before)? {
            Some(small) => {
                write(folder, "smallest", &small)?;
                text += &format!("\nSmallest state before: {} policies.\n", small.policies().len());
            }
            None => text += "\nIt was not broken again when the round was repeated.\n",
        }
        world.adopt(after)?;
    }
    let path = folder.join("why.txt");
    fs::write(&path, text).map_err(EndureError::write(&path))?;
    tell(&format!("  kept in {}", folder.display()));
    Ok(())
}

fn write(folder: &Path, name: &str, cluster: &Cluster) -> Result<(), EndureError> {
    Ok(Manifests::of(cluster).write(&folder.join(name))?)
}

fn shrink(world: &mut World, seed: u64, before: &Cluster) -> Result<Option<Cluster>, EndureError> {
    if !breaks(world, seed, before)? {
        return Ok(None);
    }
    let mut small = before.clone();
    let keys: Vec<_> = before.policies().map(|policy| policy.key.clone()).collect();
    for key in keys {
        let mut less = small.clone();
        less.remove_policy(&key);
        if breaks(world, seed, &less)? {
            small = less;
        }
    }
    Ok(Some(small))
}

fn breaks(world: &mut World, seed: u64, before: &Cluster) -> Result<bool, EndureError> {
    for _ in 0..TRIES {
        world.adopt(before)?;
        let mut draw = Draw::new(seed);
        let round = Round::draw(&mut draw, world.is_served());
        if !world.perform(&round, &mut draw, &mut Tally::default())?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
