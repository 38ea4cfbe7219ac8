//! What answers cost, for folders whose size doubles four times: the real program, in a process of its own each time, from
//! its start to its end, and the most memory that it had. Sizes and verbs are taken in turn, round by round.
//!
//! `cargo bench -p policyctl --bench policyctl [-- --small | --write FOLDER]`; `--small` leaves out 10,000 workloads, and
//! `--write` only writes the inputs of 1,000, to try the program on. Where `PALISADE_CYCLONUS` says where cyclonus is, it is asked
//! too. Lines that begin with `budget:` are what `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`; those that
//! begin with `plot:` are its pictures'.

mod beside;
mod child;
mod folder;

use child::Cost;
use folder::Paths;
use std::{error::Error, path::PathBuf, time::Duration};

/// Workloads, and as many policies.
const SIZES: [usize; 5] = [125, 250, 500, 1_000, 2_000];

/// The size that the larger goals are about.
const LARGE: usize = 10_000;

const ROUNDS: usize = 9;

/// A verb with what it is asked.
struct Verb {
    name: &'static str,
    arguments: fn(&Paths) -> Vec<String>,
    /// The most that it may take for 1,000 workloads and 1,000 policies.
    limit: Option<Duration>,
}

const fn verb(name: &'static str, arguments: fn(&Paths) -> Vec<String>, limit: Option<u64>) -> Verb {
    let limit = match limit {
        Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
        None => None,
    };
    Verb { name, arguments, limit }
}

const VERBS: [Verb; 6] = [
    verb("explain", |paths| explain(&paths.folder), Some(100)),
    verb("explain, one file", |paths| explain(&paths.file), Some(100)),
    verb("matrix -o json", |paths| line("matrix -o json -f", [&paths.folder]), Some(500)),
    verb("lint -o json", |paths| line("lint -o json --fail-on error -f", [&paths.folder]), Some(1_000)),
    verb("diff", |paths| line("diff", [&paths.folder, &paths.changed]), None),
    verb("report", |paths| line("report -f", [&paths.folder]), None),
];

/// A question whose answer is no, with its remedy.
fn explain(input: &PathBuf) -> Vec<String> {
    line("explain team-0/deploy/app-1 team-1/deploy/app-25:8080 -f", [input])
}

fn line<const N: usize>(words: &str, paths: [&PathBuf; N]) -> Vec<String> {
    let paths = paths.into_iter().map(|path| path.display().to_string());
    words.split(' ').map(str::to_owned).chain(paths).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == child::ALONE).is_some() {
        return child::alone(arguments);
    }
    let arguments: Vec<_> = arguments.collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--write") {
        let within = arguments.get(at + 1).ok_or("--write needs a folder")?;
        folder::write(within.as_ref(), 1_000)?;
        return Ok(());
    }
    let within = tempfile::tempdir()?;
    let inputs =
        SIZES.into_iter().map(|size| folder::write(within.path(), size)).collect::<Result<Vec<_>, _>>()?;
    // For each verb and size, a cost a round.
    let mut costs = vec![vec![Vec::new(); SIZES.len()]; VERBS.len()];
    for _ in 0..ROUNDS {
        for (size, paths) in inputs.iter().enumerate() {
            for (verb, costs) in VERBS.iter().zip(&mut costs) {
                costs[size].push(child::run(&(verb.arguments)(paths))?);
            }
        }
    }
    println!(
        "from the start of the process to its end, median of {ROUNDS} [quartiles]; over the size before; most memory"
    );
    let mut budgets = Vec::new();
    for (verb, costs) in VERBS.iter().zip(&costs) {
        println!("  {}", verb.name);
        let mut before = None;
        for (size, costs) in SIZES.into_iter().zip(costs) {
            let figure = Figure::of(costs);
            println!("    {size:>6} workloads and policies: {}", figure.line(before));
            println!("{}", figure.points(verb.name, size));
            before = Some(figure.median);
            if let Some(limit) = verb.limit.filter(|_| size == 1_000) {
                budgets.push(figure.budget(
                    &format!("policyctl {}, {size} workloads and {size} policies", verb.name),
                    limit,
                ));
            }
        }
    }
    instructions(&inputs)?;
    beside::print(within.path(), &SIZES.into_iter().zip(&inputs).take(2).collect::<Vec<_>>())?;
    if !arguments.iter().any(|argument| argument == "--small") {
        let paths = folder::write(within.path(), LARGE)?;
        println!("  {LARGE} workloads and policies (median of 3)");
        for verb in &VERBS[..4] {
            let costs =
                (0..3).map(|_| child::run(&(verb.arguments)(&paths))).collect::<Result<Vec<_>, _>>()?;
            let figure = Figure::of(&costs);
            println!("    {:<24} {}", verb.name, figure.line(None));
            println!("{}", figure.points(verb.name, LARGE));
            if verb.name.starts_with("matrix") {
                let what = format!("policyctl matrix, {LARGE} workloads and {LARGE} policies");
                budgets.push(figure.budget(&what, Duration::from_secs(20)));
                let (megabytes, is_met) = (figure.memory / 1_000_000, figure.memory <= 1_000_000_000);
                budgets.push(budget(
                    &format!("{what}, memory"),
                    "1000 MB",
                    &format!("{megabytes} MB"),
                    is_met,
                ));
            }
        }
    }
    println!();
    budgets.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Prints how many instructions each verb takes at 500 and 1,000: on a shared machine they move less than times. At 2,000 counting
/// would take minutes.
fn instructions(inputs: &[Paths]) -> Result<(), Box<dyn Error>> {
    let counted = SIZES.into_iter().zip(inputs).filter(|(size, _)| [500, 1_000].contains(size));
    println!("  instructions, all threads, by callgrind (millions)");
    for verb in &VERBS {
        let mut line = String::new();
        let mut before = None;
        for (size, paths) in counted.clone() {
            let Some(count) = child::instructions(&(verb.arguments)(paths))? else {
                println!("    valgrind is not installed: nothing is counted");
                return Ok(());
            };
            let growth = before.map(|before| format!(" x{:.2}", count as f64 / before as f64));
            line += &format!("  {size}: {:>6}{}", count / 1_000_000, growth.unwrap_or_default());
            before = Some(count);
        }
        println!("    {:<24}{line}", verb.name);
    }
    Ok(())
}

/// What rounds come to.
struct Figure {
    median: Duration,
    quartiles: [Duration; 2],
    memory: u64,
}

impl Figure {
    fn of(costs: &[Cost]) -> Self {
        let mut times: Vec<Duration> = costs.iter().map(|cost| cost.time).collect();
        times.sort_unstable();
        let at = |quarter: usize| times[(times.len() - 1) * quarter / 4];
        let memory = costs.iter().map(|cost| cost.memory).max().unwrap_or(0);
        Self { median: at(2), quartiles: [at(1), at(3)], memory }
    }

    fn times(&self) -> String {
        let [low, high] = self.quartiles;
        format!("{:.1?} [{low:.1?}, {high:.1?}]", self.median)
    }

    fn line(&self, before: Option<Duration>) -> String {
        let growth = before.map(|before| format!("x{:.2}", self.median.as_secs_f64() / before.as_secs_f64()));
        format!("{:<32} {:>6} {:>5} MB", self.times(), growth.unwrap_or_default(), self.memory / 1_000_000)
    }

    fn points(&self, verb: &str, size: usize) -> String {
        let size_axis = "workloads, and as many policies";
        format!(
            "plot: policyctl, the whole program | {size_axis} | ms | {verb} | {size} | {:.2}\n\
             plot: policyctl, most memory | {size_axis} | MB | {verb} | {size} | {:.2}",
            self.median.as_secs_f64() * 1e3,
            self.memory as f64 / 1e6
        )
    }

    /// No verdict where the spread holds the limit.
    fn budget(&self, what: &str, limit: Duration) -> String {
        let [low, high] = self.quartiles;
        match low < limit && limit < high {
            true => format!(
                "budget: {what} | {limit:?} | {} | no verdict: the spread holds the limit",
                self.times()
            ),
            false => budget(what, &format!("{limit:?}"), &self.times(), high <= limit),
        }
    }
}

fn budget(what: &str, limit: &str, measured: &str, is_met: bool) -> String {
    format!("budget: {what} | {limit} | {measured} | {}", if is_met { "met" } else { "not met" })
}
