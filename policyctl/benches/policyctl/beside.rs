//! Beside `cyclonus analyze`, which answers whether each pod reaches each other one at one port: the same objects, the same answers.

use crate::folder::Paths;
use policy_model::manifest::{self, Object};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    error::Error,
    ffi::OsString,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Where `cargo bench-all` says that the program is; it builds it from its Go module.
const CYCLONUS: &str = "PALISADE_CYCLONUS";

/// The port that is asked for. TCP.
const PORT: u16 = 8_001;

const ROUNDS: usize = 3;

/// Pairs of pods, the source first, of which one reaches the other.
type Reached = BTreeSet<(String, String)>;

/// Prints a line for each size: how long both take, in turn, and whether they say the same.
///
/// # Errors
/// One of the programs fails, or they say different things: then their times are worth nothing.
pub(crate) fn print(within: &Path, inputs: &[(usize, &Paths)]) -> Result<(), Box<dyn Error>> {
    println!(
        "  beside cyclonus analyze (--mode probe): does each pod reach each other at TCP {PORT}? medians of {ROUNDS}, in turn"
    );
    let Some(cyclonus) = std::env::var_os(CYCLONUS) else {
        println!("    {CYCLONUS} does not say where cyclonus is: nothing is compared");
        return Ok(());
    };
    for &(size, paths) in inputs {
        let own = Input::write(&within.join(format!("cyclonus-{size}")), &paths.folder)?;
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let mut policyctl = Command::new(env!("CARGO_BIN_EXE_policyctl"));
            policyctl.args(["matrix", "--pods", "-o", "json", "-f"]).arg(&paths.folder);
            let (took, answer) = timed(policyctl)?;
            times[0].push(took);
            let mut ours = of_matrix(&serde_json::from_str(&answer)?)?;
            // The matrix has addresses outside and workloads without pods too.
            ours.retain(|(source, destination)| own.pods.contains(source) && own.pods.contains(destination));
            let (took, answer) = timed(own.command(&cyclonus))?;
            times[1].push(took);
            let theirs = of_table(&answer)?;
            if let Some((source, destination)) = ours.symmetric_difference(&theirs).next() {
                return Err(format!("cyclonus and policyctl differ about {source} to {destination}").into());
            }
            if ours.is_empty() || ours.len() == own.pairs() {
                return Err("all pairs have the same answer: that compares nothing".into());
            }
        }
        let [ours, theirs] = times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2]
        });
        println!(
            "    {size:>6} workloads and policies: policyctl matrix (all ports) {ours:.1?}, cyclonus {theirs:.1?}, x{:.0}; \
             the same answer for {} pairs",
            theirs.as_secs_f64() / ours.as_secs_f64(),
            own.pairs()
        );
    }
    Ok(())
}

fn timed(mut command: Command) -> Result<(Duration, String), Box<dyn Error>> {
    let start = Instant::now();
    let output = command.output()?;
    let took = start.elapsed();
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok((took, String::from_utf8(output.stdout)?))
}

/// What cyclonus reads: the policies, a file each, and the pods and namespaces as a model of its own.
struct Input {
    policies: OsString,
    model: OsString,
    pods: BTreeSet<String>,
}

impl Input {
    fn write(to: &Path, from: &Path) -> Result<Self, Box<dyn Error>> {
        let policies = to.join("policies");
        fs::create_dir_all(&policies)?;
        let (mut namespaces, mut pods, mut names) = (serde_json::Map::new(), Vec::new(), BTreeSet::new());
        for file in fs::read_dir(from)? {
            let text = fs::read_to_string(file?.path())?;
            for document in
                text.split("---\n").filter(|document| document.contains("\nkind: NetworkPolicy\n"))
            {
                let number = fs::read_dir(&policies)?.count();
                fs::write(policies.join(format!("{number}.yaml")), document)?;
            }
            for object in manifest::parse("", &text).objects {
                match object.value {
                    Object::Namespace(namespace) => {
                        namespaces.insert(namespace.name.to_string(), labels(&namespace.labels));
                    }
                    Object::Pod(pod) => {
                        names.insert(pod.key.to_string());
                        pods.push(json!({
                        "Namespace": *pod.key.namespace, "Name": *pod.key.name, "Labels": labels(&pod.labels),
                        "IP": pod.ips.first().map(ToString::to_string),
                        "Containers": pod.ports.iter().map(|port| json!({
                            "Name": "main", "Port": port.port, "Protocol": port.protocol.name(), "PortName": *port.name,
                        })).collect::<Vec<_>>(),
                    }));
                    }
                    _ => {}
                }
            }
        }
        let model = to.join("model.json");
        let text = json!({
            "Resources": {"Namespaces": namespaces, "Pods": pods},
            "Probes": [{"Protocol": "TCP", "Port": PORT}],
        });
        fs::write(&model, text.to_string())?;
        Ok(Self { policies: policies.into(), model: model.into(), pods: names })
    }

    /// How many pairs of different pods there are.
    fn pairs(&self) -> usize {
        self.pods.len() * self.pods.len().saturating_sub(1)
    }

    fn command(&self, cyclonus: &OsString) -> Command {
        let mut command = Command::new(cyclonus);
        command.args(["analyze", "--mode", "probe", "--policy-path"]).arg(&self.policies);
        command.arg("--probe-path").arg(&self.model);
        command
    }
}

fn labels(labels: &policy_model::labels::Labels) -> Value {
    labels.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect()
}

/// Of `policyctl matrix --pods -o json`, which has no line for a pod and itself.
fn of_matrix(matrix: &Value) -> Result<Reached, Box<dyn Error>> {
    let rows = matrix["rows"].as_array().ok_or("the matrix has no rows")?;
    let is_open = |connection: &Value| {
        let is_tcp = ["TCP", "ANY"].contains(&connection["protocol"].as_str().unwrap_or_default());
        is_tcp && connection["ports"].as_str().is_some_and(|ports| ports.split(',').any(has_port))
    };
    let name =
        |end: &Value| end.as_str().unwrap_or_default().split('[').next().unwrap_or_default().to_owned();
    let open =
        rows.iter().filter(|row| row["connections"].as_array().is_some_and(|all| all.iter().any(is_open)));
    Ok(open.map(|row| (name(&row["source"]), name(&row["destination"]))).collect())
}

fn has_port(ports: &str) -> bool {
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let bound = |port: &str| port.parse::<u16>();
    ports == "all"
        || matches!((bound(first), bound(last)), (Ok(first), Ok(last)) if (first..=last).contains(&PORT))
}

/// Of the first table under `Combined:`: a row a source, its cells in the same order of destinations, `.` where it reaches. A pod and
/// itself are left out, since no policy comes between them.
fn of_table(text: &str) -> Result<Reached, Box<dyn Error>> {
    let (_, table) = text.split_once("Combined:\n").ok_or("cyclonus prints no table")?;
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let rows: Vec<Vec<String>> = table
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    let (_, rows) = rows.split_first().ok_or("cyclonus' table is empty")?;
    // Each row begins and ends with a bar, and has its source's name first.
    let sources: Vec<&String> = rows.iter().filter_map(|row| row.get(1)).collect();
    let mut reached = Reached::new();
    for row in rows {
        for (destination, cell) in sources.iter().zip(row.iter().skip(2)) {
            if cell == "." && **destination != row[1] {
                reached.insert((row[1].clone(), (*destination).clone()));
            }
        }
    }
    Ok(reached)
}
