//! Images of programs that were built here: nodes ask no registry.

use super::{ClusterError, build};
use crate::image::{Content, Image, Layer, Reference};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What holds a pod's namespaces, under the name that containerd is told.
pub(super) const PAUSE: &str = "registry.k8s.io/pause:3.10";
/// The repository of what the upstream suites run.
const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost";

/// The archives that every node loads. They are beside their programs in the cache.
pub(super) fn ensure() -> Result<Vec<PathBuf>, ClusterError> {
    Ok(vec![pause()?, agnhost()?])
}

fn pause() -> Result<PathBuf, ClusterError> {
    let built = build::ensure(&build::PAUSE)?;
    let archive = built.join("image.tar");
    if !archive.exists() {
        let mut layer = Layer::new();
        layer.file("/pause", Content::Host(built.join("pause")), 0o755)?;
        let mut image = Image::new(Reference::new(PAUSE)?, layer);
        image.entrypoint = vec!["/pause".to_owned()];
        image.write(&archive)?;
    }
    Ok(archive)
}

/// As upstream's image, without a system below it.
fn agnhost() -> Result<PathBuf, ClusterError> {
    let built = build::ensure(&build::AGNHOST)?;
    let archive = built.join("image.tar");
    if !archive.exists() {
        let tag = version(&built)?;
        let mut layer = Layer::new();
        layer.file("/agnhost", Content::Host(built.join("agnhost")), 0o755)?;
        layer.directory("/tmp", 0o1777)?.directory("/uploads", 0o777)?;
        layer.file("/etc/passwd", Content::Bytes(b"root:x:0:0:root:/:/\n".to_vec()), 0o644)?;
        layer.file("/etc/group", Content::Bytes(b"root:x:0:\n".to_vec()), 0o644)?;
        let mut image = Image::new(Reference::new(&format!("{AGNHOST}:{tag}"))?, layer);
        image.entrypoint = vec!["/agnhost".to_owned()];
        image.command = vec!["pause".to_owned()];
        image.environment.insert("PATH".to_owned(), "/:/bin".to_owned());
        image.write(&archive)?;
    }
    Ok(archive)
}

/// The full name of the agnhost image that nodes have.
///
/// # Errors
/// As [`Cluster::start`](super::Cluster::start) where agnhost must be built.
pub fn agnhost_image() -> Result<String, ClusterError> {
    Ok(format!("{AGNHOST}:{}", version(&build::ensure(&build::AGNHOST)?)?))
}

fn version(built: &Path) -> Result<String, ClusterError> {
    let file = built.join("VERSION");
    let version = fs::read_to_string(&file).map_err(ClusterError::io(file.display().to_string()))?;
    Ok(version.trim().to_owned())
}
