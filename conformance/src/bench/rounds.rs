//! Rounds of comparisons, each a base and a subject in turn.

use super::{
    Contender, Load, Stage,
    statistics::{Middle, median},
};
use crate::lab::LabError;

/// Bursts of each load that a visit throws away: caches fill with what was woken.
const WARM_UP: usize = 2;
/// Bursts that it keeps. Few, since bursts of one visit agree within one part in a hundred, and visits less so.
const BURSTS: usize = 5;

/// What goes through a path, with what the path is called in the report.
#[derive(Debug)]
pub struct Path {
    /// Such as `same node, IPv4`.
    pub name: String,
    /// What is sent.
    pub load: Box<dyn Load>,
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

impl<'a> Comparison<'a> {
    /// One subject with one base, under the subject's name.
    #[must_use]
    pub fn over(subject: &'a Contender, base: &'a Contender) -> Self {
        Self { name: subject.name.clone(), subject: vec![subject], base: vec![base] }
    }
}

/// What the rounds said about one comparison on one path: by figure of the load.
#[derive(Clone, Debug, Default)]
pub struct Measured(pub Vec<Paired>);

/// One figure, a sample a round.
#[derive(Clone, Debug, Default)]
pub struct Paired {
    /// The base.
    pub base: Vec<f64>,
    /// The subject less the mean of the base's visits before and after it.
    pub over: Vec<f64>,
}

impl Measured {
    /// The mean of all figures, round by round.
    #[must_use]
    pub fn mean(&self) -> Paired {
        let mean = |samples: fn(&Paired) -> &[f64]| {
            let rounds = self.0.iter().map(|paired| samples(paired).len()).min().unwrap_or(0);
            let of_round = |round: usize| self.0.iter().map(|paired| samples(paired)[round]).sum::<f64>();
            (0..rounds).map(|round| of_round(round) / self.0.len() as f64).collect()
        };
        Paired { base: mean(|paired| &paired.base), over: mean(|paired| &paired.over) }
    }
}

impl Paired {
    /// What the subject takes over the base.
    #[must_use]
    pub fn over(&self) -> Middle {
        Middle::of(self.over.clone())
    }

    /// The subject as a ratio to the base.
    #[must_use]
    pub fn ratio(&self) -> Middle {
        Middle::of(self.subjects().zip(&self.base).map(|(subject, base)| subject / base).collect())
    }

    /// The subject itself.
    #[must_use]
    pub fn subject(&self) -> Middle {
        Middle::of(self.subjects().collect())
    }

    /// The same, a sample a round.
    pub fn subjects(&self) -> impl Iterator<Item = f64> {
        self.base.iter().zip(&self.over).map(|(base, over)| base + over)
    }
}

/// The dearest of these over the cheapest, by what they cost over the base.
#[must_use]
pub fn flatness(measured: &[&Measured]) -> Middle {
    let by_cost = |m: &&&Measured| m.mean().over().median;
    let compare = |a: &&&Measured, b: &&&Measured| by_cost(a).total_cmp(&by_cost(b));
    let (best, worst) = (measured.iter().min_by(compare), measured.iter().max_by(compare));
    let ratios = best.zip(worst).map(|(best, worst)| {
        let pairs = best.mean().over.into_iter().zip(worst.mean().over);
        pairs.filter(|(best, _)| *best > 0.0).map(|(best, worst)| worst / best).collect()
    });
    Middle::of(ratios.unwrap_or_default())
}

/// One visit: by path, by figure, the median of its bursts.
type Visit = Vec<Vec<f64>>;

fn visit(stage: &mut Stage, awake: &[&Contender], paths: &[Path]) -> Result<Visit, LabError> {
    stage.wake(awake)?;
    let of_path = |path: &Path| {
        (0..WARM_UP).try_for_each(|_| path.load.burst().map(drop))?;
        let bursts = (0..BURSTS).map(|_| path.load.burst()).collect::<Result<Vec<_>, LabError>>()?;
        let figures = 0..path.load.figures().len();
        Ok(figures.map(|figure| median(bursts.iter().map(|burst| burst[figure]).collect())).collect())
    };
    paths.iter().map(of_path).collect()
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
    let none = |path: &Path| Measured(vec![Paired::default(); path.load.figures().len()]);
    let mut measured = vec![paths.iter().map(none).collect::<Vec<_>>(); comparisons.len()];
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
                for (figure, measured) in measured.0.iter_mut().enumerate() {
                    let base = (before[path][figure] + after[path][figure]) / 2.0;
                    measured.base.push(base);
                    measured.over.push(subject[path][figure] - base);
                }
            }
            last = Some((&comparison.base, after));
        }
        progress(round + 1);
    }
    Ok(measured)
}
