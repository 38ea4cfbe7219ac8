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

/// Of names of our own, for what is not as anybody publishes it.
const COREDNS: &str = "palisade.dev/coredns";
const CYCLONUS: &str = "palisade.dev/cyclonus";

/// The archives that every node loads. They are beside their programs in the cache.
pub(super) fn ensure() -> Result<Vec<PathBuf>, ClusterError> {
    Ok(vec![pause()?, agnhost()?])
}

fn pause() -> Result<PathBuf, ClusterError> {
    let built = build::ensure(&build::PAUSE)?;
    let archive = built.join("image.tar");
    build::once(&archive, || {
        let mut layer = Layer::new();
        layer.file("/pause", Content::Host(built.join("pause")), 0o755)?;
        let mut image = Image::new(Reference::new(PAUSE)?, layer);
        image.entrypoint = vec!["/pause".to_owned()];
        image.write(&archive)?;
        Ok(())
    })?;
    Ok(archive)
}

/// As upstream's image, without a system below it.
fn agnhost() -> Result<PathBuf, ClusterError> {
    let built = build::ensure(&build::AGNHOST)?;
    let archive = built.join("image.tar");
    build::once(&archive, || {
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
        Ok(())
    })?;
    Ok(archive)
}

/// An image in an archive.
#[derive(Debug)]
pub(crate) struct Archive {
    /// The file.
    pub(crate) path: PathBuf,
    /// The image's whole name.
    pub(crate) name: String,
}

/// CoreDNS alone.
pub(super) fn coredns() -> Result<Archive, ClusterError> {
    let built = build::ensure(&build::COREDNS)?;
    let of = built.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let archive = Archive { path: built.join("image.tar"), name: format!("{COREDNS}:{of}") };
    build::once(&archive.path, || {
        let mut layer = Layer::new();
        layer.file("/coredns", Content::Host(built.join("coredns")), 0o755)?;
        let mut image = Image::new(Reference::new(&archive.name)?, layer);
        image.entrypoint = vec!["/coredns".to_owned()];
        image.write(&archive.path)?;
        Ok(())
    })?;
    Ok(archive)
}

/// What cyclonus' pods run: agnhost, which serves, and what probes beside it.
pub(super) fn cyclonus(built: &Path, version: &str) -> Result<Archive, ClusterError> {
    let agnhost = build::ensure(&build::AGNHOST)?;
    let name = format!("{CYCLONUS}:{version}");
    // Made of two states of sources.
    let of = agnhost.file_name().unwrap_or_default().to_string_lossy();
    let path = built.join(format!("image-{of}.tar"));
    build::once(&path, || {
        let mut layer = Layer::new();
        layer.file("/agnhost", Content::Host(agnhost.join("agnhost")), 0o755)?;
        layer.file("/worker", Content::Host(built.join("worker")), 0o755)?;
        Image::new(Reference::new(&name)?, layer).write(&path)?;
        Ok(())
    })?;
    Ok(Archive { path, name })
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
