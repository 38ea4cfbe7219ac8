//! Rounds of comparisons, each a base and a subject in turn.

use super::{
    Contender, Flow, Stage, Way,
    statistics::{Middle, median},
};
use crate::lab::LabError;

/// Bursts of each flow and way that a visit throws away: caches fill with what was woken.
const WARM_UP: usize = 2;
/// Bursts that it keeps. Few, since bursts of one visit agree within one part in a hundred, and visits less so.
const BURSTS: usize = 5;

/// A flow, with what it is called in the report.
#[derive(Debug)]
pub struct Path {
    /// Such as `bridged IPv4`.
    pub name: &'static str,
    /// The flow.
    pub flow: Flow,
    /// How many nodes its packets pass.
    pub nodes: u8,
}

/// What is held against what.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The subject's name in the report.
    pub name: String,
    /// What is awake in its visits.
    pub subject: Vec<&'a Contender>,
    /// What is awake in the visits before and after.
    pub base: Vec<&'a Contender>,
}

/// What the rounds said about one comparison on one path, a sample a round: nanoseconds a packet, both ways' mean.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The base.
    pub base: Vec<f64>,
    /// The subject less the mean of the base's visits before and after it.
    pub over: Vec<f64>,
    /// The same for packets of the original direction alone.
    pub over_original: Vec<f64>,
    /// The same for replies alone.
    pub over_reply: Vec<f64>,
}

impl Measured {
    /// Nanoseconds a packet over the base.
    #[must_use]
    pub fn over(&self) -> Middle {
        Middle::of(self.over.clone())
    }

    /// The subject as a ratio to the base.
    #[must_use]
    pub fn ratio(&self) -> Middle {
        Middle::of(self.base.iter().zip(&self.over).map(|(base, over)| (base + over) / base).collect())
    }
}

/// One visit: by path, the medians of both ways.
type Visit = Vec<[f64; 2]>;

fn visit(stage: &mut Stage, awake: &[&Contender], paths: &[Path]) -> Result<Visit, LabError> {
    stage.wake(awake)?;
    let way = |path: &Path, way| {
        (0..WARM_UP).try_for_each(|_| path.flow.burst(way).map(drop))?;
        let bursts: Result<Vec<_>, _> = (0..BURSTS).map(|_| path.flow.burst(way)).collect();
        Ok::<_, LabError>(median(bursts?))
    };
    paths.iter().map(|path| Ok([way(path, Way::Original)?, way(path, Way::Reply)?])).collect()
}

fn same(a: &[&Contender], b: &[&Contender]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| std::ptr::eq(*a, *b))
}

/// Does all comparisons in turn, as often as there are rounds, and calls `progress` after each round. Gives by comparison
/// and path what was measured.
///
/// # Errors
/// [`LabError::NotEstablished`] if something that is compared does not let a flow pass, and as [`Stage::wake`].
pub fn measure(
    stage: &mut Stage,
    comparisons: &[Comparison<'_>],
    paths: &[Path],
    rounds: usize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Vec<Measured>>, LabError> {
    let mut measured = vec![vec![Measured::default(); paths.len()]; comparisons.len()];
    for round in 0..rounds {
        // A visit of the base after one subject is the one before the next: A B A C A …
        let mut last: Option<(&[&Contender], Visit)> = None;
        for (comparison, measured) in comparisons.iter().zip(&mut measured) {
            let before = match last.take() {
                Some((base, visit)) if same(base, &comparison.base) => visit,
                _ => visit(stage, &comparison.base, paths)?,
            };
            let subject = visit(stage, &comparison.subject, paths)?;
            let after = visit(stage, &comparison.base, paths)?;
            for (path, measured) in measured.iter_mut().enumerate() {
                let base = |way: usize| (before[path][way] + after[path][way]) / 2.0;
                let over = |way: usize| subject[path][way] - base(way);
                measured.base.push((base(0) + base(1)) / 2.0);
                measured.over.push((over(0) + over(1)) / 2.0);
                measured.over_original.push(over(0));
                measured.over_reply.push(over(1));
            }
            last = Some((&comparison.base, after));
        }
        progress(round + 1);
    }
    Ok(measured)
}
