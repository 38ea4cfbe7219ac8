//! Where a runtime listens.

use std::{
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Sockets of the distributions that were looked at, each with who uses it. Those of one distribution come first: beside
/// them Docker's containerd, which serves no CRI, may have the usual one.
pub const USUAL: [(&str, &str); 5] = [
    ("/run/k3s/containerd/containerd.sock", "k3s, RKE2"),
    ("/run/k0s/containerd.sock", "k0s"),
    ("/var/snap/microk8s/common/run/containerd.sock", "MicroK8s"),
    ("/run/crio/crio.sock", "CRI-O"),
    ("/run/containerd/containerd.sock", "kubeadm, Talos"),
];

/// `--cri-socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeSocket {
    /// The first of [`USUAL`] that answers.
    Auto,
    /// This one.
    At(PathBuf),
}

impl RuntimeSocket {
    /// Where it is to be tried, in this order.
    pub(super) fn candidates(&self) -> Vec<PathBuf> {
        match self {
            Self::At(path) => vec![path.clone()],
            Self::Auto => USUAL.iter().map(|(path, _)| path.into()).filter(is_socket).collect(),
        }
    }
}

fn is_socket(path: &PathBuf) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

impl FromStr for RuntimeSocket {
    type Err = &'static str;

    /// `auto`, or an absolute path, also as the kubelet has it (`unix:///run/…`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        match path {
            "auto" => Ok(Self::Auto),
            path if Path::new(path).is_absolute() => Ok(Self::At(path.into())),
            _ => Err("auto, or the absolute path of a socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_written_as_the_kubelet_has_it() {
        let at = |path: &str| Ok(RuntimeSocket::At(path.into()));
        assert_eq!("auto".parse(), Ok(RuntimeSocket::Auto));
        assert_eq!("/run/a.sock".parse(), at("/run/a.sock"));
        assert_eq!("unix:///run/a.sock".parse(), at("/run/a.sock"));
        for wrong in ["", "run/a.sock", "unix://run/a.sock", "tcp://127.0.0.1:1", "Auto"] {
            assert!(wrong.parse::<RuntimeSocket>().is_err(), "{wrong}");
        }
    }
}
