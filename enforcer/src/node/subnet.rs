//! Flannel's `subnet.env`: this node's pod ranges and the cluster's.
//!
//! Source: flannel `pkg/subnet` (`WriteSubnetFile`), and its CNI plugin's `loadFlannelSubnetEnv`: networks may be a list
//! with commas. `FLANNEL_SUBNET` has the address of the pod bridge and the length of the range.

use ipnet::IpNet;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// This node's ranges, IPv4 first; each with the pod bridge's address.
    pub own: Vec<IpNet>,
    /// The whole cluster's.
    pub cluster: Vec<IpNet>,
    /// `FLANNEL_IPMASQ`: flanneld masquerades what leaves the cluster.
    pub masquerades: bool,
}

/// Why it says nothing.
#[derive(Debug, thiserror::Error)]
pub enum SubnetError {
    /// It is there and cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A value that is no range.
    #[error("{path}: {key}: {value:?} is no range of addresses")]
    Range {
        /// The file.
        path: PathBuf,
        /// `FLANNEL_…`.
        key: String,
        /// What stands there.
        value: String,
    },
}

impl Subnet {
    /// Reads the file; `None`: there is none.
    ///
    /// # Errors
    /// See [`SubnetError`].
    pub fn read(path: &Path) -> Result<Option<Self>, SubnetError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path).map(Some),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(SubnetError::Io { path: path.to_owned(), error }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SubnetError> {
        let mut subnet = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
            let into = match key {
                "FLANNEL_SUBNET" | "FLANNEL_IPV6_SUBNET" => &mut subnet.own,
                "FLANNEL_NETWORK" | "FLANNEL_IPV6_NETWORK" => &mut subnet.cluster,
                "FLANNEL_IPMASQ" => {
                    subnet.masquerades = value == "true";
                    continue;
                }
                _ => continue,
            };
            for range in value.split(',').filter(|range| !range.is_empty()) {
                let range = range.parse().map_err(|_| SubnetError::Range {
                    path: path.to_owned(),
                    key: key.into(),
                    value: value.into(),
                })?;
                into.push(range);
            }
        }
        subnet.own.sort_by_key(|range| matches!(range, IpNet::V6(_)));
        Ok(subnet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Subnet, String> {
        Subnet::parse(text, Path::new("subnet.env")).map_err(|e| e.to_string())
    }

    #[test]
    fn flannels_file_of_a_dual_stack_node() {
        let text = "FLANNEL_NETWORK=10.244.0.0/16,10.245.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
                    FLANNEL_IPV6_NETWORK=fd00:10:244::/56\nFLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n\
                    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
        let ranges = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        let subnet = parse(text).unwrap();
        assert_eq!(subnet.own, ranges(&["10.244.1.1/24", "fd00:10:244:1::1/64"]));
        assert_eq!(subnet.cluster, ranges(&["10.244.0.0/16", "10.245.0.0/16", "fd00:10:244::/56"]));
        assert!(subnet.masquerades);
    }

    #[test]
    fn a_value_that_is_none_is_named() {
        assert_eq!(parse(""), Ok(Subnet::default()));
        let said = parse("FLANNEL_SUBNET=10.244.1.1/33").unwrap_err();
        assert_eq!(said, "subnet.env: FLANNEL_SUBNET: \"10.244.1.1/33\" is no range of addresses");
    }
}
