//! `cargo conformance`: suites on real clusters.

use crate::cluster::{self, Shape};
use clap::builder::RangedU64ValueParser;
use conformance::{
    cluster::{ClusterError, Engine},
    suite::{
        self, About, CYCLONUS, Cyclonus, Measure, Measured, NETPOL, Netpol, OWN, Own, RESULTS, RULES, Record,
        Run, Spec, SuiteError,
    },
};
use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Instant,
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");
/// In the document's order.
const ABOUT: &[About] = &[NETPOL, CYCLONUS, OWN];
/// Nothing passes this without an engine.
const DENY: &str = "between server and client should support a .default-deny-ingress";

/// Which suites, on which clusters.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The suites.
    #[arg(value_enum, default_values_t = [What::Netpol])]
    suites: Vec<What>,
    /// Who enforces; may be given several times, one cluster after the other. By default it is palisade, and `measure` sets all of them
    /// beside each other.
    #[arg(long = "engine", value_enum)]
    engines: Vec<Engine>,
    #[command(flatten)]
    shape: Shape,
    /// Only netpol's specs whose name matches this, or own's cases that have it in theirs or are of the group of this name; may be given
    /// several times.
    #[arg(long, conflicts_with = "write")]
    focus: Vec<String>,
    /// Run on a cluster without an engine too what must fail there: one of netpol's specs that deny, own's cases about what policies mean.
    #[arg(long)]
    control: bool,
    /// Only these cases of cyclonus, by their numbers, such as 1-20,33.
    #[arg(long, value_delimiter = ',', value_parser = range, conflicts_with = "write")]
    cases: Vec<RangeInclusive<u16>>,
    /// A chosen 30 of cyclonus' cases, some of each kind, in place of all.
    #[arg(long, conflicts_with = "cases")]
    chosen: bool,
    /// How many of cyclonus' cases run at once: each has nine pods of four containers.
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u8>::new().range(1..=8))]
    worlds: u8,
    /// How many policies `measure` creates and deletes.
    #[arg(long, default_value_t = 100)]
    rounds: u16,
    /// How many pods `measure` starts.
    #[arg(long, default_value_t = 100)]
    pods: u16,
    /// Keep the results in conformance/results, and write docs/conformance.md from all that are there.
    #[arg(long)]
    write: bool,
    /// Where output and reports go.
    #[arg(long, default_value = "target/conformance")]
    output: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// The upstream NetworkPolicy specs.
    Netpol,
    /// The cases of cyclonus: generated policies, and all pairs of nine pods after each change.
    Cyclonus,
    /// What policies mean where upstream does not look, and Palisade's own life cycle under traffic, on clusters that it starts by itself.
    Own,
    /// No suite: how soon policies are in force and pods run, and what the engine takes.
    Measure,
}

/// What says of each test whether it passed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suite {
    Netpol,
    Cyclonus,
    Own,
}

/// `7` or `3-9`.
fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number of a case"));
    let (first, last) = (number(first)?, number(last)?);
    if first > last { Err(format!("{first} comes after {last}")) } else { Ok(first..=last) }
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Netpol => NETPOL.suite,
            Self::Cyclonus => CYCLONUS.suite,
            Self::Own => OWN.suite,
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Netpol => Netpol::version(),
            Self::Cyclonus => Cyclonus::version(),
            Self::Own => env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Runs them; `false` if a test failed that should pass, or the control passed.
pub(crate) fn run(options: &Options) -> Result<bool, SuiteError> {
    let (mut passed, mut failed) = (0, 0);
    for &what in &options.suites {
        let suite = match what {
            What::Netpol => Suite::Netpol,
            What::Cyclonus => Suite::Cyclonus,
            What::Own => Suite::Own,
            What::Measure => {
                measured(options)?;
                continue;
            }
        };
        let engines = if options.engines.is_empty() { &[Engine::Palisade][..] } else { &options.engines };
        for &engine in engines {
            let run = one(options, suite, engine, &options.focus)?;
            // Without an engine a failed test is what is expected: the figures are told, and count for nothing.
            if engine != Engine::None {
                let [good, bad, _] = run.counts();
                (passed, failed) = (passed + good, failed + bad);
            }
            let selection = if suite == Suite::Cyclonus && options.chosen { "chosen" } else { "all" };
            keep(options, suite, selection, &run)?;
        }
        let control = match suite {
            Suite::Netpol => Some(DENY),
            Suite::Own => Some(RULES),
            Suite::Cyclonus => None,
        };
        if let Some(control) = control.filter(|_| options.control) {
            let run = one(options, suite, Engine::None, &[control.to_owned()])?;
            let [good, bad, _] = run.counts();
            let fails = good == 0 && bad > 0;
            println!(
                "control: `{control}` without an engine {}",
                if fails { "fails, as it must" } else { "passes: FAIL" }
            );
            (passed, failed) = (passed + usize::from(fails), failed + usize::from(!fails));
            keep(options, suite, "control", &run)?;
        }
    }
    if options.write {
        let text =
            suite::document(&Record::all(Path::new(RESULTS))?, ABOUT, &Measured::kept(Path::new(RESULTS))?);
        fs::write(DOCUMENT, text).map_err(ClusterError::io(DOCUMENT))?;
        println!("wrote docs/conformance.md");
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn keep(options: &Options, suite: Suite, selection: &str, run: &Run) -> Result<(), SuiteError> {
    if options.write {
        Record::new(suite.name(), suite.version(), selection, run)?.keep(Path::new(RESULTS))?;
    }
    Ok(())
}

/// A cluster for each engine, one after the other.
fn measured(options: &Options) -> Result<(), SuiteError> {
    let engines = [Engine::Palisade, Engine::KubeRouter, Engine::None];
    let engines = if options.engines.is_empty() { &engines[..] } else { &options.engines };
    let amount = Measure { rounds: options.rounds, pods: options.pods };
    let mut all = Vec::new();
    for &engine in engines {
        println!("measure, engine {}", engine.name());
        let cluster = cluster::start(&options.shape.options("conformance", engine))?;
        let found = suite::measure(&cluster, amount, &mut |step| println!("  {step}"))?;
        println!("  {found:?}");
        all.push(found);
    }
    if options.write {
        Measured::keep(&all, Path::new(RESULTS))?;
    }
    Ok(())
}

/// One cluster, one run of a suite.
fn one(options: &Options, suite: Suite, engine: Engine, focus: &[String]) -> Result<Run, SuiteError> {
    println!("{}, engine {}", suite.name(), engine.name());
    let output = std::path::absolute(options.output.join(suite.name()).join(engine.name()));
    let output = output.map_err(ClusterError::io("the output's folder"))?;
    let run = run_by(options, engine, suite, focus, &output)?;
    for spec in run.specs.iter().filter(|spec| spec.failed()) {
        // Where nobody enforces it is no news. `failed: ` is what the summary of `cargo test-all` looks for.
        let word = if engine == Engine::None { "without an engine" } else { "failed" };
        let state = if spec.state == "failed" { String::new() } else { format!(" ({})", spec.state) };
        println!("  {word}: {}{state}\n    {}", spec.name, spec.message.replace('\n', "\n    "));
    }
    let [passed, failed, skipped] = run.counts();
    println!(
        "  {} with {}: of {} tests {passed} are good, {failed} bad, {skipped} skipped, in {:.0} s; output in {}",
        suite.name(),
        engine.name(),
        run.specs.len(),
        run.took.as_secs_f64(),
        output.display()
    );
    Ok(run)
}

fn run_by(
    options: &Options,
    engine: Engine,
    suite: Suite,
    focus: &[String],
    output: &Path,
) -> Result<Run, SuiteError> {
    let (begin, mut ended) = (Instant::now(), 0);
    let mut say = |spec: &Spec, all: usize| {
        ended += 1;
        let left = begin.elapsed().as_secs() as usize * all.saturating_sub(ended) / ended;
        println!("  {ended}/{all} {} {:.0} s  {}  ({left} s left)", spec.state, spec.seconds, spec.name);
        if spec.passed() && !spec.message.is_empty() {
            println!("    {}", spec.message);
        }
    };
    let wanted = options.shape.options("conformance", engine);
    match suite {
        Suite::Netpol => {
            let focus = if focus.is_empty() { "Netpol".to_owned() } else { focus.join("|") };
            suite::netpol(&cluster::start(&wanted)?, &Netpol { focus }, output, &mut say)
        }
        Suite::Cyclonus => {
            let cases = match options.chosen {
                true => Cyclonus::CHOSEN.to_vec(),
                false => options.cases.iter().cloned().flatten().collect(),
            };
            suite::cyclonus(
                &cluster::start(&wanted)?,
                &Cyclonus { cases, worlds: options.worlds },
                output,
                &mut say,
            )
        }
        Suite::Own => suite::own(&wanted, &Own { focus: focus.to_vec() }, &mut say),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_cases_is_a_number_or_two() {
        assert_eq!(range("7"), Ok(7..=7));
        assert_eq!(range("3-9"), Ok(3..=9));
        assert_eq!(range("9-3"), Err("9 comes after 3".to_owned()));
        assert_eq!(range("x"), Err("`x` is no number of a case".to_owned()));
    }
}
