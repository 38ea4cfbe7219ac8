//! What a suite found, and the document that says so.

use crate::cluster::Options;
use std::{fmt::Write, time::Duration};

/// One spec that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Its whole name.
    pub name: String,
    /// `passed`, `failed`, `skipped`, `timedout`, … as Ginkgo says it.
    pub state: String,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed or was skipped.
    pub message: String,
}

impl Spec {
    /// It did what it should.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.state == "passed"
    }

    /// It did not, and was not skipped either.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.passed() && self.state != "skipped"
    }
}

/// All specs of a run on one cluster.
#[derive(Clone, Debug)]
pub struct Run {
    /// The cluster.
    pub options: Options,
    /// In the order of their ends.
    pub specs: Vec<Spec>,
    /// Without the cluster's boot.
    pub took: Duration,
}

impl Run {
    /// How many passed, failed, were skipped.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let count = |is: fn(&Spec) -> bool| self.specs.iter().filter(|spec| is(spec)).count();
        let (passed, failed) = (count(Spec::passed), count(Spec::failed));
        [passed, failed, self.specs.len() - passed - failed]
    }
}

/// `docs/conformance.md` for these runs. `kernel` and `version` (of Kubernetes) are told in it.
#[must_use]
pub fn document(runs: &[Run], kernel: &str, version: &str) -> String {
    let mut text = format!(
        "# Conformance\n\n\
         Written by `cargo conformance netpol --write` from its own run; not edited by hand. Kernel {kernel}.\n\n\
         Suite `netpol`: the upstream e2e specs `test/e2e/network/netpol` of Kubernetes {version}, on a real cluster of this machine\n\
         (`docs/cluster.md`) with Flannel, four specs at once. Left out: `SCTPConnectivity`, which opens SCTP sockets; this kernel has\n\
         none (CONFIG_IP_SCTP). `none` is a control without any engine, which must fail.\n\n\
         | engine | kube-proxy | addresses | workers | passed | failed | skipped | seconds |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for run in runs {
        let ([passed, failed, skipped], options) = (run.counts(), &run.options);
        let families = format!("{:?}", options.families).to_lowercase();
        let _ = writeln!(
            text,
            "| {} | {} | {families} | {} | {passed} | {failed} | {skipped} | {:.0} |",
            options.engine.name(),
            options.proxy.name(),
            options.workers,
            run.took.as_secs_f64()
        );
    }
    for run in runs {
        let _ = write!(
            text,
            "\n<details><summary>{}, kube-proxy {}: each spec</summary>\n\n",
            run.options.engine.name(),
            run.options.proxy.name()
        );
        let mut specs: Vec<_> = run.specs.iter().collect();
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        for spec in specs {
            let why = spec.message.lines().next().filter(|_| !spec.passed()).unwrap_or_default();
            let _ = writeln!(text, "- {} {:.0} s: {} {why}", spec.state, spec.seconds, spec.name);
        }
        text.push_str("\n</details>\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_spec_is_counted_and_stays_in_the_document() {
        let spec = |name: &str, state: &str| Spec {
            name: name.to_owned(),
            state: state.to_owned(),
            seconds: 2.0,
            message: format!("because of {name}"),
        };
        let specs =
            vec![spec("b", "failed"), spec("a", "passed"), spec("c", "skipped"), spec("d", "panicked")];
        let run = Run { options: Options::new("x"), specs, took: Duration::from_secs(9) };
        assert_eq!(run.counts(), [1, 2, 1]);
        let text = document(&[run], "6.1", "v1.2.3");
        assert!(text.contains("| none | nftables | ipv4 | 3 | 1 | 2 | 1 | 9 |"), "{text}");
        assert!(
            text.contains("- failed 2 s: b because of b") && text.contains("- passed 2 s: a \n"),
            "{text}"
        );
    }
}
