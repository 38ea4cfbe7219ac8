//! `policyctl diff`.

use super::{
    CliError, Exit, Styles,
    args::{Common, DiffArgs, DiffFormat},
    session::{read_state, selection, tell},
};
use crate::{
    diff::{self, Change},
    input::{self, Snapshot},
    matrix::Granularity,
    yaml,
};
use policy_model::{manifest::nearest, object::ObjectKey};
use std::io::Write;

pub(super) fn run(
    common: &Common,
    styles: Styles,
    args: &DiffArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CliError> {
    let [before, after] = states(common, args)?;
    let granularity = if args.pods { Granularity::Pods } else { Granularity::Workloads };
    let changes = diff::diff(&before, &after, granularity, common.namespace.as_deref());
    match args.output {
        DiffFormat::Table => write!(out, "{}", diff::text(&changes, styles.out))?,
        DiffFormat::Json => writeln!(out, "{:#}", diff::json(&changes))?,
        DiffFormat::Yaml => write!(out, "{}", yaml::to_yaml(&diff::json(&changes)))?,
        DiffFormat::Csv => write!(out, "{}", diff::csv(&changes))?,
        DiffFormat::Md => write!(out, "{}", diff::markdown(&changes))?,
    }
    out.flush()?;
    tell(&before, common, styles.err, err)?;
    if args.states.len() == 2 || !args.with.is_empty() {
        tell(&after, common, styles.err, err)?;
    }
    let broken = [&before, &after].iter().any(|snapshot| !snapshot.faults.is_empty());
    let gained = changes.iter().any(|change: &Change| !change.gained().is_empty());
    Ok(match (broken, gained) {
        (true, _) => Exit::Usage,
        (false, true) => Exit::Denied,
        (false, false) => Exit::Allowed,
    })
}

/// Two folders, or one with something put over it or left out.
fn states(common: &Common, args: &DiffArgs) -> Result<[Snapshot; 2], CliError> {
    if let [before, after] = &args.states[..] {
        if !common.files.is_empty() {
            return Err(CliError::Usage {
                message: "-f and two states do not go together",
                help: "give two paths, or -f with --with or --without",
            });
        }
        let load = |source: &input::Source| input::load(&selection(common, vec![source.clone()]));
        return Ok([load(before)?, load(after)?]);
    }
    if args.with.is_empty() && args.without.is_empty() {
        return Err(CliError::Usage {
            message: "there is nothing to compare",
            help: "give two paths, or -f with --with PATH or --without NS/POLICY",
        });
    }
    let (before, _) = read_state(common)?;
    // What is broken in it is told once, of the state before.
    let mut after = before.objects_alone();
    if !args.with.is_empty() {
        after.overlay(input::load(&selection(common, args.with.clone()))?);
    }
    for name in &args.without {
        let key = policy(&after, name, common.namespace.as_deref())?;
        after.cluster.remove_policy(&key);
    }
    Ok([before, after])
}

fn policy(snapshot: &Snapshot, name: &str, namespace: Option<&str>) -> Result<ObjectKey, CliError> {
    let key = match name.split_once('/') {
        Some((namespace, name)) => ObjectKey::new(namespace, name),
        None => ObjectKey::new(namespace.unwrap_or("default"), name),
    };
    if snapshot.cluster.policy(&key).is_some() {
        return Ok(key);
    }
    let known: Vec<String> = snapshot.cluster.policies().map(|policy| policy.key.to_string()).collect();
    let meant = nearest(&key.to_string(), known.iter().map(String::as_str)).map(str::to_owned);
    Err(CliError::NoPolicy { policy: key.to_string(), meant })
}
