//! Ends as they are written on the command line: with `-n`, the namespace may be left out.

use crate::endpoint::{Endpoint, EndpointError, Target};
use std::str::FromStr;

/// An end that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct NameError {
    error: EndpointError,
}

/// A source.
pub(super) fn endpoint(text: &str, namespace: Option<&str>) -> Result<Endpoint, NameError> {
    read(text, namespace)
}

/// A destination.
pub(super) fn target(text: &str, namespace: Option<&str>) -> Result<Target, NameError> {
    read(text, namespace)
}

/// What stands before a workload's or Service's name.
const KINDS: [&str; 8] = ["deploy", "sts", "ds", "rs", "job", "cronjob", "rc", "svc"];

fn read<T: FromStr<Err = EndpointError>>(text: &str, namespace: Option<&str>) -> Result<T, NameError> {
    let within = namespace.map(|namespace| format!("{namespace}/{text}"));
    let kind = text.split_once('/').map(|(kind, rest)| (kind, rest.split('/').count()));
    // `deploy/api` is a pod of a namespace called deploy, unless -n says where the Deployment is.
    let is_short = matches!(kind, Some((kind, 1 | 2)) if KINDS.contains(&kind)) || text.starts_with('[');
    match (text.parse(), within) {
        (Ok(_), Some(within)) if is_short && within.parse::<T>().is_ok() => {
            within.parse().map_err(|error| NameError { error })
        }
        (Err(EndpointError::NoNamespace(_)), Some(within)) => {
            within.parse().map_err(|error| NameError { error })
        }
        (Err(_), Some(within)) if text.starts_with('[') => {
            within.parse().map_err(|error| NameError { error })
        }
        (result, _) => result.map_err(|error| NameError { error }),
    }
}
