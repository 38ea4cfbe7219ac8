//! Every scenario of `testdata`, asked of the model, of the simulator and of a kernel: a test for each judge and folder,
//! such as `model::dns-only`.

use conformance::{
    enforced::{self, Kernel},
    scenario::{self, Judge, Model, Simulator},
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Asks one judge about one scenario.
type Ask = fn(&Path) -> Result<(), Failed>;

fn main() -> io::Result<()> {
    let arguments = Arguments::from_args();
    let judges: [(&str, Ask); 3] = [("model", model), ("simulator", simulator), ("kernel", kernel)];
    let mut trials = Vec::new();
    for folder in folders()? {
        for (judge, ask) in judges {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let folder = folder.clone();
            trials.push(Trial::test(format!("{judge}::{name}"), move || ask(&folder)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit()
}

/// The scenarios and the company, in the order of their names.
fn folders() -> io::Result<Vec<PathBuf>> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let entries = fs::read_dir(testdata.join("scenarios"))?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    folders.push(testdata.join("company"));
    folders.sort();
    Ok(folders)
}

fn model(folder: &Path) -> Result<(), Failed> {
    let scenario = scenario::load(folder)?;
    hold(scenario::check(&scenario, &mut Model(&scenario.cluster)))
}

fn simulator(folder: &Path) -> Result<(), Failed> {
    let scenario = scenario::load(folder)?;
    let mut simulator = Simulator::new(&scenario.cluster);
    hold(scenario::check(&scenario, &mut simulator as &mut dyn Judge))
}

/// In the lab, with `policyd` on every node and real packets.
fn kernel(folder: &Path) -> Result<(), Failed> {
    let scenario = scenario::load(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut kernel = Kernel::judge(&name, &scenario.cluster, &enforced::probes(&scenario.assertions))?;
    hold(scenario::check(&scenario, &mut kernel as &mut dyn Judge))
}

fn hold(finding: scenario::Finding) -> Result<(), Failed> {
    if finding.asked == 0 {
        return Err("no flow was asked: such a scenario would always hold".into());
    }
    if finding.failures.is_empty() { Ok(()) } else { Err(finding.failures.join("\n").into()) }
}
