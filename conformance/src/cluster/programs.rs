//! Everything that a cluster runs, built where it is missing.

use super::{
    Binaries, ClusterError, Engine, Options, build,
    images::{self, Archive},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the programs and images of a cluster are.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) kubernetes: Binaries,
    pub(super) flanneld: PathBuf,
    /// Folders with CNI plugins.
    plugins: [PathBuf; 2],
    /// Archives that every node loads.
    pub(super) images: Vec<PathBuf>,
    /// The name service, where one is wanted.
    pub(super) coredns: Option<Archive>,
    /// Only where it is the engine.
    pub(super) kube_router: Option<PathBuf>,
}

impl Programs {
    /// Builds what is missing. The first is by far the longest, and what the others share with it is compiled then.
    pub(super) fn ensure(options: &Options) -> Result<Self, ClusterError> {
        let kubernetes = Binaries::ensure()?;
        let images = images::ensure()?;
        let plugins = [build::ensure(&build::CNI_PLUGINS)?, build::ensure(&build::CNI_FLANNEL)?];
        let flanneld = build::ensure(&build::FLANNELD)?.join("flanneld");
        let kube_router = (options.engine == Engine::KubeRouter).then(|| build::ensure(&build::KUBE_ROUTER));
        let kube_router = kube_router.transpose()?.map(|dir| dir.join("kube-router"));
        let coredns = options.dns.then(images::coredns).transpose()?;
        Ok(Self { kubernetes, flanneld, plugins, images, coredns, kube_router })
    }

    /// Makes a folder with a link to each CNI plugin, and gives its path.
    pub(super) fn link_plugins(&self, cluster: &Path) -> Result<PathBuf, ClusterError> {
        let folder = cluster.join("cni");
        let error = |path: &Path| ClusterError::io(path.display().to_string());
        fs::create_dir_all(&folder).map_err(error(&folder))?;
        for built in &self.plugins {
            let entries = fs::read_dir(built).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
            for entry in entries.map_err(error(built))? {
                let link = folder.join(entry.file_name());
                std::os::unix::fs::symlink(entry.path(), &link).map_err(error(&link))?;
            }
        }
        Ok(folder)
    }
}

/// What runs the upstream NetworkPolicy specs.
#[derive(Debug)]
pub(crate) struct NetpolPrograms {
    /// The specs.
    pub(crate) specs: PathBuf,
    /// What runs them side by side.
    pub(crate) ginkgo: PathBuf,
}

impl NetpolPrograms {
    /// Builds what is missing.
    pub(crate) fn ensure() -> Result<Self, ClusterError> {
        let specs = build::ensure(&build::NETPOL)?.join("netpol.test");
        Ok(Self { specs, ginkgo: build::ensure(&build::GINKGO)?.join("ginkgo") })
    }
}

/// What runs cyclonus' cases.
#[derive(Debug)]
pub(crate) struct CyclonusPrograms {
    /// Runs the cases of one world.
    pub(crate) cases: PathBuf,
    /// What its pods run.
    pub(crate) image: Archive,
}

impl CyclonusPrograms {
    /// Builds what is missing. `version` is cyclonus'.
    pub(crate) fn ensure(version: &str) -> Result<Self, ClusterError> {
        let built = build::ensure(&build::CYCLONUS)?;
        let image = images::cyclonus(&built, version)?;
        Ok(Self { cases: built.join("cases"), image })
    }
}
