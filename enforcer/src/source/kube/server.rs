//! What an API server must have: asked once, before anything is listed.

use super::{connection::Connection, fault::Fault, kind::Kind, wire::Page};
use ipnet::IpNet;
use kube::{Client, api::ListParams, core::Request};
use serde::Deserialize;
use std::{fmt, time::Duration};
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A version that is not too old, as the API server calls itself: `v1.37.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 1.22: the first in which all that is used is there and on by default: server-side apply (general in 1.22; status and
/// Events are written so), `endPort` (on since 1.22; before it was dropped on the way into etcd), and the label
/// `kubernetes.io/metadata.name` on every namespace (general in 1.22; policies name namespaces by it).
pub const OLDEST: &str = "v1.22";
const OLDEST_MINOR: u32 = 22;

/// An API group's version with the resources of it that are followed.
const USED: [(&str, &str, &[&str]); 2] = [
    ("/api/v1", "v1", &["namespaces", "nodes", "pods", "services"]),
    ("/apis/networking.k8s.io/v1", "networking.k8s.io/v1", &["networkpolicies"]),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    major: String,
    minor: String,
    git_version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

/// Asks for the version, and whether every kind that is followed is served.
///
/// # Errors
/// [`Fault::TooOld`], [`Fault::NotServed`], or why there is no answer.
pub async fn require(connection: &Connection) -> Result<Version, Fault> {
    let (client, number) = connection.client();
    let found = check(&client).await;
    if matches!(found, Err(Fault::Unauthorized(_))) {
        connection.renew(number).await;
    }
    found
}

async fn check(client: &Client) -> Result<Version, Fault> {
    let info: Info = read(client, "version", "/version").await?;
    let version = Version::of(&info)?;
    for (path, group, names) in USED {
        let served: Resources = match read(client, group, path).await {
            Ok(served) => served,
            Err(Fault::Refused { code: 404, .. }) => {
                return Err(Fault::NotServed { what: format!("{group} ({})", names.join(", ")) });
            }
            Err(fault) => return Err(fault),
        };
        if let Some(missing) = names.iter().find(|name| !served.resources.iter().any(|r| r.name == **name)) {
            return Err(Fault::NotServed { what: format!("{missing} of {group}") });
        }
    }
    Ok(version)
}

/// The ranges of a node's `spec.podCIDRs`. `None`: there is no such node.
///
/// # Errors
/// Why there is no answer.
pub async fn pod_ranges(connection: &Connection, node: &str) -> Result<Option<Vec<IpNet>>, Fault> {
    #[derive(Deserialize)]
    struct Node {
        #[serde(default)]
        spec: Spec,
    }
    #[derive(Default, Deserialize)]
    struct Spec {
        #[serde(default, rename = "podCIDRs")]
        ranges: Vec<IpNet>,
    }
    let resource = Kind::Nodes.resource();
    let odd = |e: &dyn fmt::Display| Fault::NotKubernetes { resource, reason: e.to_string() };
    let parameters = ListParams::default().fields(&format!("metadata.name={node}"));
    let request = Request::new(Kind::Nodes.path()).list(&parameters).map_err(|e| odd(&e))?;
    let (client, _) = connection.client();
    let text = timeout(PATIENCE, client.request_text(request)).await;
    let text = text.map_err(|_| Fault::Silent { resource, after: PATIENCE })?;
    let text = text.map_err(|e| Fault::of(resource, e))?;
    let page: Page<'_> = serde_json::from_str(&text).map_err(|e| odd(&e))?;
    let Some(item) = page.items.unwrap_or_default().pop() else { return Ok(None) };
    let node: Node = serde_json::from_str(item.get()).map_err(|e| odd(&e))?;
    Ok(Some(node.spec.ranges))
}

impl Version {
    fn of(info: &Info) -> Result<Self, Fault> {
        // Some vendors write `27+`.
        let digits = info.minor.trim_end_matches(|c: char| !c.is_ascii_digit());
        match (info.major.as_str(), digits.parse::<u32>()) {
            ("1", Ok(minor)) if minor < OLDEST_MINOR => {
                Err(Fault::TooOld { version: info.git_version.clone(), oldest: OLDEST })
            }
            ("1", Ok(_)) => Ok(Self(info.git_version.clone())),
            _ => Err(Fault::NotKubernetes {
                resource: "version",
                reason: format!("version {}.{}", info.major, info.minor),
            }),
        }
    }
}

async fn read<T: serde::de::DeserializeOwned>(
    client: &Client,
    resource: &'static str,
    path: &str,
) -> Result<T, Fault> {
    let odd = |e: &dyn fmt::Display| Fault::NotKubernetes { resource, reason: e.to_string() };
    let request = http_get(path).map_err(|e| odd(&e))?;
    let text = timeout(PATIENCE, client.request_text(request)).await;
    let text = text.map_err(|_| Fault::Silent { resource, after: PATIENCE })?;
    let text = text.map_err(|e| Fault::of(resource, e))?;
    serde_json::from_str(&text).map_err(|e| odd(&e))
}

fn http_get(path: &str) -> Result<axum::http::Request<Vec<u8>>, axum::http::Error> {
    axum::http::Request::get(path).body(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: &str, minor: &str) -> Result<String, Fault> {
        let info =
            Info { major: major.into(), minor: minor.into(), git_version: format!("v{major}.{minor}.0") };
        Version::of(&info).map(|version| version.to_string())
    }

    #[test]
    fn vendors_versions_are_read_too_and_old_ones_refused() {
        assert_eq!(version("1", "37"), Ok("v1.37.0".into()));
        assert_eq!(version("1", "27+"), Ok("v1.27+.0".into()));
        let old = version("1", "21").unwrap_err().to_string();
        assert_eq!(old, "the API server is too old: it is v1.21.0, the oldest supported is v1.22");
        assert!(version("1", "").is_err() && version("2", "0").is_err());
    }
}
