//! P001, P002, P003: what cannot be read, and what an API server would refuse.

use crate::{
    input::{Fault, FaultKind},
    lint::{Code, Finding, Place, context::Context},
};
use miette::Diagnostic;

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    context.snapshot.faults.iter().map(finding).collect()
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
        remedy: fault.help().map_or_else(|| code.info().remedy.to_owned(), |help| help.to_string()),
    }
}
