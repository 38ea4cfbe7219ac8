//! `policyd run --max-...`: how much policies may ask of this node.

use clap::Args;
use compiler::config::{Limits, Listed};

/// Beyond a limit the pods concerned are denied in the direction concerned, and all others are served as before.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitOptions {
    /// Peers, exceptions of ipBlocks and ports that all policies of one pod may list in one direction
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().pod.entries)]
    max_pod_entries: u64,
    /// Of these, peers whose podSelector only excludes, with NotIn or DoesNotExist
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().pod.selectors)]
    max_pod_selectors: u64,
    /// The same for all pods of one namespace on this node; pods with the same policies count once
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().namespace.entries)]
    max_namespace_entries: u64,
    /// Of these, peers whose podSelector only excludes, with NotIn or DoesNotExist
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().namespace.selectors)]
    max_namespace_selectors: u64,
    /// Pairs of a peer's address and a port that one pod's policies may come to in one direction
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().elements)]
    max_pod_elements: u64,
}

impl From<&LimitOptions> for Limits {
    fn from(options: &LimitOptions) -> Self {
        Self {
            pod: Listed { entries: options.max_pod_entries, selectors: options.max_pod_selectors },
            namespace: Listed {
                entries: options.max_namespace_entries,
                selectors: options.max_namespace_selectors,
            },
            elements: options.max_pod_elements,
            ..Self::default()
        }
    }
}
