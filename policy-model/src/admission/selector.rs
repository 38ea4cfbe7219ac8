//! Label selectors.
//!
//! Source: `metav1.LabelSelector`.

use super::{at::At, check::Check};
use crate::selector::{Requirement, Selector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use std::sync::Arc;

const OPERATORS: &str = "In, NotIn, Exists or DoesNotExist";

/// A selector in normal form. What is wrong is reported and left out.
pub(super) fn selector(check: &mut Check, path: &At<'_>, selector: &LabelSelector, strict: bool) -> Selector {
    let mut requirements = Vec::new();
    let labels = path.field("matchLabels");
    for (key, value) in selector.match_labels.iter().flatten() {
        let entry = labels.field(key);
        check.label_key(&entry, key);
        if strict {
            check.label_value(&entry, value);
        }
        requirements.push(Requirement::In(key.as_str().into(), [Arc::from(value.as_str())].into()));
    }
    let expressions = path.field("matchExpressions");
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        requirements.extend(requirement(check, &expressions.index(index), expression, strict));
    }
    Selector::new(requirements)
}

fn requirement(
    check: &mut Check,
    path: &At<'_>,
    expression: &LabelSelectorRequirement,
    strict: bool,
) -> Option<Requirement> {
    let LabelSelectorRequirement { key, operator, values } = expression;
    check.label_key(&path.field("key"), key);
    let values = values.as_deref().unwrap_or_default();
    if strict {
        for (index, value) in values.iter().enumerate() {
            check.label_value(&path.field("values").index(index), value);
        }
    }
    let key: Arc<str> = key.as_str().into();
    let list = || values.iter().map(|value| Arc::from(value.as_str())).collect::<Box<[Arc<str>]>>();
    match (operator.as_str(), values.is_empty()) {
        ("In", false) => Some(Requirement::In(key, list())),
        ("NotIn", false) => Some(Requirement::NotIn(key, list())),
        ("Exists", true) => Some(Requirement::Exists(key)),
        ("DoesNotExist", true) => Some(Requirement::DoesNotExist(key)),
        ("In" | "NotIn", true) => {
            check.problem(&path.field("values"), None, format!("{operator} needs at least one value"));
            None
        }
        ("Exists" | "DoesNotExist", false) => {
            let message = format!("{operator} takes no values, but has {}", values.join(", "));
            let problem = check.problem(&path.field("values"), Some(values.join(",")), message);
            problem.help(format!(
                "leave values out, or use {}",
                if operator == "Exists" { "In" } else { "NotIn" }
            ));
            None
        }
        (operator, _) => {
            let message = format!("\"{operator}\" is not an operator");
            check
                .problem(&path.field("operator"), Some(operator.to_owned()), message)
                .help(format!("use {OPERATORS}"));
            None
        }
    }
}
