//! One fact of a host, and whether policy holds with it.

use serde_json::{Value, json};

/// How good a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Policy holds, but somebody should know.
    Warn,
    /// Policy does not hold, or not all of it.
    Fail,
}

impl Mark {
    /// As JSON and metrics' documentation have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are their own names")]
pub enum Fact {
    Privileges,
    NfTables,
    BridgeFamily,
    BridgedTraffic,
    PodBridge,
    PodRanges,
    CniFiles,
    KubeProxy,
    SecondEngine,
    Masquerade,
    Overlay,
    PortGuards,
    Inotify,
    ContainerRuntime,
    ApiServer,
}

impl Fact {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Privileges => "privileges",
            Self::NfTables => "nf_tables",
            Self::BridgeFamily => "bridge family",
            Self::BridgedTraffic => "bridged traffic",
            Self::PodBridge => "pod bridge",
            Self::PodRanges => "pod ranges",
            Self::CniFiles => "CNI files",
            Self::KubeProxy => "kube-proxy",
            Self::SecondEngine => "second engine",
            Self::Masquerade => "masquerade",
            Self::Overlay => "overlay",
            Self::PortGuards => "port guards",
            Self::Inotify => "inotify",
            Self::ContainerRuntime => "runtime",
            Self::ApiServer => "API server",
        }
    }

    /// For programs: the label of the metric.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Privileges => "privileges",
            Self::NfTables => "nf_tables",
            Self::BridgeFamily => "bridge_family",
            Self::BridgedTraffic => "bridged_traffic",
            Self::PodBridge => "pod_bridge",
            Self::PodRanges => "pod_ranges",
            Self::CniFiles => "cni_files",
            Self::KubeProxy => "kube_proxy",
            Self::SecondEngine => "second_engine",
            Self::Masquerade => "masquerade",
            Self::Overlay => "overlay",
            Self::PortGuards => "port_guards",
            Self::Inotify => "inotify",
            Self::ContainerRuntime => "container_runtime",
            Self::ApiServer => "api_server",
        }
    }

    /// The reason of the Event on the Node.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Privileges => "Privileges",
            Self::NfTables => "NfTables",
            Self::BridgeFamily => "BridgeFamily",
            Self::BridgedTraffic => "BridgedTraffic",
            Self::PodBridge => "PodBridge",
            Self::PodRanges => "PodRanges",
            Self::CniFiles => "CNIFiles",
            Self::KubeProxy => "KubeProxyMode",
            Self::SecondEngine => "SecondPolicyEngine",
            Self::Masquerade => "PodMasquerade",
            Self::Overlay => "Overlay",
            Self::PortGuards => "PortGuards",
            Self::Inotify => "InotifyLimits",
            Self::ContainerRuntime => "ContainerRuntime",
            Self::ApiServer => "APIServer",
        }
    }
}

/// A fact with its answer: what is so, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub fact: Fact,
    /// How good it is.
    pub mark: Mark,
    /// The answer in a word or two: a change of it is told while policyd runs.
    pub value: String,
    /// The answer for people.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    pub(crate) fn ok(fact: Fact, value: impl Into<String>, what: impl Into<String>) -> Self {
        Self { fact, mark: Mark::Ok, value: value.into(), what: what.into(), help: None }
    }

    pub(crate) fn warn(
        fact: Fact,
        value: impl Into<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { fact, mark: Mark::Warn, value: value.into(), what: what.into(), help: Some(help.into()) }
    }

    pub(crate) fn fail(
        fact: Fact,
        value: impl Into<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { fact, mark: Mark::Fail, value: value.into(), what: what.into(), help: Some(help.into()) }
    }

    /// `{"fact":"kube_proxy","status":"ok","value":"nftables","what":"…","help":null}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "fact": self.fact.label(),
            "status": self.mark.word(),
            "value": self.value,
            "what": self.what,
            "help": self.help,
        })
    }
}
