//! `cargo bench-all`: every benchmark target of the workspace, one after the other.

use crate::{
    runner::{self, RunError},
    workspace::{self, Workspace},
};

/// Runs the benchmarks whose measured names contain `filter`; `true` if all ran.
pub(crate) fn run(filter: Option<&str>) -> Result<bool, RunError> {
    let workspace = Workspace::read()?;
    let mut all_ran = true;
    let mut found = false;
    for package in &workspace.packages {
        for target in package.targets.iter().filter(|t| t.kind.iter().any(|kind| kind == "bench")) {
            found = true;
            println!("{}: {}", package.name, target.name);
            let mut command = workspace::cargo();
            command.current_dir(&workspace.workspace_root).args(["bench", "--package", &package.name]);
            command.args(["--bench", &target.name, "--"]).args(filter);
            all_ran &= runner::run(&mut command)?.success;
        }
    }
    if !found {
        println!("the workspace has no benchmarks");
    }
    Ok(all_ran)
}
