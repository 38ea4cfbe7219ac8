//! P001, P002, P003, P022, P023: what cannot be read, what an API server would refuse, and what cannot be together.

use crate::{
    input::{Fault, FaultKind, Warning},
    lint::{
        Code, Finding, Place,
        context::{Context, listed},
    },
};
use miette::Diagnostic;

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    let faults = context.snapshot.faults.iter().map(finding);
    faults
        .chain(context.snapshot.warnings.iter().filter_map(duplicate))
        .chain(shared_addresses(context))
        .collect()
}

/// Of two objects of one kind and name, one is lost.
fn duplicate(warning: &Warning) -> Option<Finding> {
    let Warning::Duplicate { object, first, second } = warning else { return None };
    // `file:line:column`
    let mut parts = second.rsplitn(3, ':');
    let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    let place = Place { file: file.to_owned(), line: line.parse().ok(), column: column.parse().ok() };
    Some(Finding {
        code: Code::P022,
        severity: Code::P022.info().severity,
        object: Some(object.clone()),
        field: String::new(),
        place: Some(place),
        message: format!("is at {first} too; this one counts, the other is lost"),
        remedy: Code::P022.info().remedy.to_owned(),
    })
}

fn shared_addresses(context: &Context<'_>) -> Vec<Finding> {
    let shared = context.cluster().claims().filter(|(_, pods)| pods.clone().nth(1).is_some());
    shared
        .map(|(address, pods)| Finding {
            code: Code::P023,
            severity: Code::P023.info().severity,
            object: pods.clone().next().map(|pod| format!("Pod {}", pod.key)),
            field: String::new(),
            place: None,
            message: format!("{address} is held by {}", listed(pods.map(|pod| pod.key.to_string()))),
            remedy: Code::P023.info().remedy.to_owned(),
        })
        .collect()
}

fn finding(fault: &Fault) -> Finding {
    let code = match fault.kind() {
        FaultKind::Document => Code::P001,
        FaultKind::UnknownField => Code::P002,
        FaultKind::Object => Code::P003,
    };
    let (file, location) = fault.location();
    let place = location.map_or_else(|| Place { file: file.to_owned(), line: None, column: None }, Place::of);
    let (object, field, message) = fault.parts();
    Finding {
        code,
        severity: code.info().severity,
        object,
        field,
        place: Some(place),
        message,
        remedy: fault.help().map_or_else(|| remedy(code).to_owned(), |help| help.to_string()),
    }
}

/// Where nothing more is known.
fn remedy(code: Code) -> &'static str {
    match code {
        Code::P003 => "Change the field as the finding says.",
        _ => code.info().remedy,
    }
}
