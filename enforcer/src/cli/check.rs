//! `policyd check`: whether policy would hold on this host, one line a fact.

use super::{CheckOptions, Failure, OutputFormat, runtime};
use crate::{
    fitness::{self, Fact, Finding, Host, Mark},
    nft,
    source::kube::{Connection, Credentials, server},
};
use compiler::config::Guards;
use ipnet::IpNet;
use serde_json::json;
use std::io::{self, Write};
use tokio::runtime::Builder;

/// Width of a mark and of a name, with what stands between.
const MARK: usize = 6;
const NAME: usize = 18;

pub(super) fn run(options: &CheckOptions) -> Result<(), Failure> {
    let mut findings = fitness::kernel_findings(&nft::probe());
    let (api, spec) = ask(options)?;
    let unread = |e| Failure::failed(format!("cannot read this host's links: {e}"), "");
    let runtime = runtime::look(&options.host).map_err(unread)?;
    let settings = fitness::Settings { runtime, ..options.host.fitness(Guards::ALL) };
    let host = Host::read(settings, spec).map_err(unread)?;
    findings.extend(host.findings());
    findings.extend(api);
    let printed = match options.output {
        OutputFormat::Text => print(&findings),
        OutputFormat::Json => print_json(&findings),
    };
    match printed {
        // Who reads it has seen enough.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure::failed(format!("cannot write to standard output: {e}"), ""));
        }
        _ => {}
    }
    if is_ready(&findings) { Ok(()) } else { Err(Failure::Said) }
}

/// Asks the API server for its version and this node's ranges, if one is given.
fn ask(options: &CheckOptions) -> Result<(Option<Finding>, Option<Vec<IpNet>>), Failure> {
    let credentials = match &options.kubeconfig {
        Some(path) => Credentials::Kubeconfig(path.clone()),
        None if Credentials::are_in_cluster() => Credentials::InCluster,
        None => return Ok((None, None)),
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::failed(format!("cannot start the runtime: {e}"), ""))?;
    runtime.block_on(async {
        let fact = Fact::ApiServer;
        let connection = match Connection::open(credentials).await {
            Ok(connection) => connection,
            Err(error) => {
                let help = "give --kubeconfig a file that kubectl can use";
                return Ok((Some(Finding::fail(fact, "no credentials", error.to_string(), help)), None));
            }
        };
        let version = match server::require(&connection).await {
            Ok(version) => version,
            Err(fault) => {
                return Ok((Some(Finding::fail(fact, "unfit", fault.to_string(), fault.help())), None));
            }
        };
        let ok =
            Finding::ok(fact, version.to_string(), format!("{version}, oldest supported {}", server::OLDEST));
        let Some(node) = &options.node_name else { return Ok((Some(ok), None)) };
        Ok(match server::pod_ranges(&connection, node).await {
            Ok(Some(ranges)) => (Some(ok), Some(ranges)),
            Ok(None) => {
                let what = format!("{version}; it has no node called {node}");
                let help = "pods of this host are found by its node's name: check --node-name";
                (Some(Finding::warn(fact, "no such node", what, help)), None)
            }
            Err(fault) => (Some(Finding::warn(fact, "no answer", fault.to_string(), fault.help())), None),
        })
    })
}

fn is_ready(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.mark != Mark::Fail)
}

fn print(findings: &[Finding]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Finding { fact, mark, what, help, .. } in findings {
        let word = match mark {
            Mark::Fail => "FAIL",
            mark => mark.word(),
        };
        writeln!(out, "{word:MARK$}{:NAME$}{what}", fact.name())?;
        if let Some(help) = help.as_ref().filter(|help| !help.is_empty()) {
            writeln!(out, "{:1$}{help}", "", MARK + NAME)?;
        }
    }
    writeln!(out, "{}", summary(findings))
}

/// `{"kind":"Check","ready":…,"checks":[…]}`; see [`Finding::to_json`].
fn print_json(findings: &[Finding]) -> io::Result<()> {
    let checks: Vec<_> = findings.iter().map(Finding::to_json).collect();
    let answer = json!({ "kind": "Check", "ready": is_ready(findings), "checks": checks });
    writeln!(io::stdout().lock(), "{answer:#}")
}

fn summary(findings: &[Finding]) -> String {
    let count = |mark| findings.iter().filter(|finding| finding.mark == mark).count();
    let (warnings, failed) = (count(Mark::Warn), count(Mark::Fail));
    let plural = if warnings == 1 { "" } else { "s" };
    format!("{} checks: {} ok, {warnings} warning{plural}, {failed} failed", findings.len(), count(Mark::Ok))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let ok = || Finding::ok(Fact::Overlay, "", "");
        let warn = Finding::warn(Fact::Overlay, "", "", "");
        let fail = Finding::fail(Fact::Overlay, "", "", "");
        let findings = [ok(), ok(), warn, fail];
        assert_eq!(summary(&findings), "4 checks: 2 ok, 1 warning, 1 failed");
        assert!(!is_ready(&findings));
        assert_eq!(summary(&findings[..2]), "2 checks: 2 ok, 0 warnings, 0 failed");
        assert!(is_ready(&findings[..3]));
    }
}
