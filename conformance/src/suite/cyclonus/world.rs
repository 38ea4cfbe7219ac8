//! One process of cyclonus with three namespaces of its own.

use super::{Case, tail_of};
use crate::{
    cluster::{Cluster, ClusterError, CyclonusPrograms},
    lab::LabError,
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

/// The namespaces of cyclonus: its three, and one that some cases make.
const NAMESPACES: [&str; 4] = ["x", "y", "z", "y-2"];

/// A world that waits for cases. Dropping it removes its namespaces.
pub(super) struct World<'a> {
    cluster: &'a Cluster,
    name: String,
    log: PathBuf,
    child: Child,
    numbers: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl<'a> World<'a> {
    /// Starts the process, which makes its pods before it takes a case. Its log is in a folder.
    pub(super) fn start(
        cluster: &'a Cluster,
        programs: &CyclonusPrograms,
        output: &Path,
        name: &str,
    ) -> Result<Self, LabError> {
        let log = output.join(format!("{name}.log"));
        let file = File::create(&log).map_err(LabError::io(log.display().to_string()))?;
        let mut command = cluster.control_plane().command(&programs.cases.to_string_lossy());
        command
            .args(["--world", name, "--image", &programs.image.name])
            .env("KUBECONFIG", cluster.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file);
        let mut child = command.spawn().map_err(LabError::io("cyclonus"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (numbers, answers) =
            pipes.ok_or_else(|| LabError::Invalid("cyclonus has no pipes".to_owned()))?;
        let answers = BufReader::new(answers).lines();
        Ok(Self { cluster, name: name.to_owned(), log, child, numbers, answers })
    }

    /// Runs a case to its end.
    ///
    /// # Errors
    /// The process has ended.
    pub(super) fn ask(&mut self, number: u16) -> Result<Case, LabError> {
        writeln!(self.numbers, "{number}").map_err(|_| tail_of(&self.log))?;
        let line = self.answers.next().and_then(Result::ok).ok_or_else(|| tail_of(&self.log))?;
        serde_json::from_str(&line).map_err(|e| LabError::Invalid(format!("cyclonus said `{line}`: {e}")))
    }

    fn remove(&mut self) -> Result<(), ClusterError> {
        let namespaces = NAMESPACES.map(|namespace| format!("{namespace}-{}", self.name));
        let mut arguments = vec!["delete", "namespace", "--ignore-not-found", "--wait=false"];
        arguments.extend(namespaces.iter().map(String::as_str));
        self.cluster.kubectl(&arguments).map(drop)
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        // It may have ended already, and its cluster too.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.remove();
    }
}
