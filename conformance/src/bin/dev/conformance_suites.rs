//! `cargo conformance`: outsiders' suites on a real cluster.

use crate::cluster::{self, Shape};
use conformance::{
    cluster::{ClusterError, Engine},
    suite::{self, Netpol, Run, SuiteError},
};
use std::{fs, path::Path, time::Instant};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");
const GO_MOD: &str = include_str!("../../../cluster/kubernetes/go.mod");
/// Nothing passes this without an engine.
const DENY: &str = "between server and client should support a .default-deny-ingress";

/// Which suites, on which clusters.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The suites.
    #[arg(value_enum, default_values_t = [Suite::Netpol])]
    suites: Vec<Suite>,
    /// Who enforces; may be given several times, one cluster after the other.
    #[arg(long = "engine", value_enum, default_values_t = [Engine::Palisade])]
    engines: Vec<Engine>,
    #[command(flatten)]
    shape: Shape,
    /// Only specs whose name matches this.
    #[arg(long, default_value = "Netpol")]
    focus: String,
    /// Run one spec that denies on a cluster without an engine too: it must fail.
    #[arg(long)]
    control: bool,
    /// Write docs/conformance.md from the results.
    #[arg(long)]
    write: bool,
    /// Where output and JUnit reports go.
    #[arg(long, default_value = "target/conformance")]
    output: std::path::PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Suite {
    /// The upstream NetworkPolicy specs.
    Netpol,
}

/// Runs them; `false` if a spec failed that should pass, or the control passed.
pub(crate) fn run(options: &Options) -> Result<bool, SuiteError> {
    let (mut passed, mut failed, mut runs) = (0, 0, Vec::new());
    for suite in &options.suites {
        let Suite::Netpol = suite;
        for &engine in &options.engines {
            let run = netpol(options, engine, &options.focus)?;
            // Without an engine a failed spec is what is expected: the figures are told, and count for nothing.
            if engine != Engine::None {
                let [good, bad, _] = run.counts();
                (passed, failed) = (passed + good, failed + bad);
            }
            runs.push(run);
        }
        if options.control {
            let run = netpol(options, Engine::None, DENY)?;
            let [good, bad, _] = run.counts();
            let fails = good == 0 && bad > 0;
            runs.push(run);
            println!(
                "control: `{DENY}` without an engine {}",
                if fails { "fails, as it must" } else { "passes: FAIL" }
            );
            (passed, failed) = (passed + usize::from(fails), failed + usize::from(!fails));
        }
    }
    if options.write {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let version = GO_MOD.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
        let text = suite::document(&runs, kernel.trim(), version.unwrap_or_default());
        fs::write(DOCUMENT, text).map_err(ClusterError::io(DOCUMENT))?;
        println!("wrote docs/conformance.md");
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// One cluster, one run of the suite.
fn netpol(options: &Options, engine: Engine, focus: &str) -> Result<Run, SuiteError> {
    println!("netpol, engine {}", engine.name());
    let cluster = cluster::start(&options.shape.options("conformance", engine))?;
    let output = std::path::absolute(Path::new(&options.output).join(engine.name()));
    let output = output.map_err(ClusterError::io("the output's folder"))?;
    let (begin, mut ended) = (Instant::now(), 0);
    let run = suite::run(&cluster, &Netpol { focus: focus.to_owned() }, &output, &mut |spec, all| {
        ended += 1;
        let spent = begin.elapsed().as_secs();
        let left = spent as usize * all.saturating_sub(ended) / ended;
        println!("  {ended}/{all} {} {:.0} s  {}  ({left} s left)", spec.state, spec.seconds, spec.name);
        if spec.failed() {
            println!("    {}", spec.message.lines().next().unwrap_or_default());
        }
    })?;
    let [passed, failed, skipped] = run.counts();
    println!(
        "  netpol with {}: of {} specs {passed} are good, {failed} bad, {skipped} skipped, in {:.0} s; output in {}",
        engine.name(),
        run.specs.len(),
        run.took.as_secs_f64(),
        output.display()
    );
    Ok(run)
}
