//! What an engine does to a real cluster: how soon policies are in force and gone, how soon pods run, what its process takes.

mod policies;
mod proxy;
mod scene;
mod usage;

use self::{policies::Rounds, proxy::Proxy, scene::Scene, usage::Usage};
use super::{Place, SuiteError};
use crate::cluster::{Cluster, ClusterError, Engine};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, time::Instant};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Policies that are created and deleted.
    pub rounds: u16,
    /// Pods that are started, one after the other.
    pub pods: u16,
}

/// Samples, in a few words. All in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The middle one.
    pub p50: f64,
    /// 99 of 100 are not above this.
    pub p99: f64,
    /// How many there were.
    pub samples: usize,
}

impl Quantiles {
    /// By nearest rank; nothing if there are no samples.
    #[must_use]
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples.get((part * samples.len() as f64).ceil().max(1.0) as usize - 1).copied();
        Some(Self { p50: at(0.5)?, p99: at(0.99)?, samples: samples.len() })
    }
}

/// What was found with one engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Who enforced.
    pub engine: Engine,
    /// Worker nodes.
    pub workers: u8,
    /// When, where, of what.
    #[serde(flatten)]
    pub place: Place,
    /// From the request that creates a policy until no node lets a new flow through; none without an engine.
    pub enforced: Option<Quantiles>,
    /// Policies that were not in force after 20 s; no sample is of them.
    pub missed: u16,
    /// From the request that deletes it until each node lets one through.
    pub opened: Option<Quantiles>,
    /// From the request that creates a pod until it runs and has an address.
    pub started: Option<Quantiles>,
    /// Of the engine's process on the node where it is largest, in MiB, at the end.
    pub memory: f64,
    /// Processor time of the engine's process, in hundredths of one processor, mean of the nodes, over all of it.
    pub processor: f64,
}

/// Measures on a cluster, and says how far it is.
///
/// # Errors
/// Pods do not start; a policy is not gone within 20 s.
pub fn measure(
    cluster: &Cluster,
    measure: Measure,
    say: &mut dyn FnMut(&str),
) -> Result<Measured, SuiteError> {
    let engine = cluster.options().engine;
    let proxy = Proxy::start(cluster)?;
    let scene = Scene::create(cluster)?;
    let (before, begin) = (Usage::of(cluster)?, Instant::now());
    let rounds = match engine {
        Engine::None => Rounds::default(),
        _ => policies::rounds(&scene, &proxy, measure.rounds, say)?,
    };
    scene.isolate(&proxy)?;
    let started = scene.start_pods(&proxy, measure.pods, say)?;
    let after = Usage::of(cluster)?;
    Ok(Measured {
        engine,
        workers: cluster.options().workers,
        place: Place::here()?,
        enforced: Quantiles::of(rounds.enforced),
        opened: Quantiles::of(rounds.opened),
        missed: rounds.missed,
        started: Quantiles::of(started),
        memory: after.memory,
        processor: after.percent_since(&before, begin.elapsed()),
    })
}

impl Measured {
    const FILE: &str = "measured.json";

    /// Keeps what one command found, each in the place of what an earlier one found with its engine.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn keep(found: &[Self], folder: &Path) -> Result<(), ClusterError> {
        let mut all = Self::kept(folder)?;
        for new in found {
            match all.iter_mut().find(|old| old.engine == new.engine) {
                Some(old) => *old = new.clone(),
                None => all.push(new.clone()),
            }
        }
        let path = folder.join(Self::FILE);
        let error = || ClusterError::io(path.display().to_string());
        fs::create_dir_all(folder).map_err(error())?;
        let mut text = serde_json::to_vec_pretty(&all).map_err(|e| error()(e.into()))?;
        text.push(b'\n');
        fs::write(&path, text).map_err(error())
    }

    /// What is kept; nothing if nothing is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn kept(folder: &Path) -> Result<Vec<Self>, ClusterError> {
        let path = folder.join(Self::FILE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let error = || ClusterError::io(path.display().to_string());
        let text = fs::read(&path).map_err(error())?;
        serde_json::from_slice(&text).map_err(|e| error()(e.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples_by_nearest_rank() {
        let of = |samples: Vec<f64>| Quantiles::of(samples).map(|q| (q.p50, q.p99, q.samples));
        assert_eq!(of(Vec::new()), None);
        assert_eq!(of(vec![3.0]), Some((3.0, 3.0, 1)));
        assert_eq!(of((1..=100).rev().map(f64::from).collect()), Some((50.0, 99.0, 100)));
    }
}
