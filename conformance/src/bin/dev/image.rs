//! `cargo dev image`: the container image that deploy/ installs.

use crate::workspace::{Workspace, WorkspaceError, cargo};
use conformance::{
    image::{self, Image, ImageError},
    sbom::{self, SbomError},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the image goes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The archive [default: target/image/policyd-VERSION.tar]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The image could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageCommandError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Sbom(#[from] SbomError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// Builds and packs, and says what is in it.
pub(crate) fn run(options: &Options) -> Result<(), ImageCommandError> {
    let workspace = Workspace::read()?;
    let version = env!("CARGO_PKG_VERSION");
    let target = workspace.target_directory.join("image/build");
    let program = image::build(cargo, &workspace.workspace_root, "enforcer", "policyd", &target)?;
    let output = match &options.output {
        Some(path) => path.clone(),
        None => workspace.target_directory.join(format!("image/policyd-{version}.tar")),
    };
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).map_err(file(folder))?;
    }
    let image = Image::policyd(&program, version)?;
    let written = image.write(&output)?;
    let bill = output.with_extension("cdx.json");
    let materials = sbom::of(cargo, &workspace.workspace_root, "enforcer", &program)?;
    fs::write(&bill, format!("{materials:#}\n")).map_err(file(&bill))?;
    let size = fs::metadata(&program).map_err(file(&program))?.len();
    println!("image    {}", image.name);
    println!("digest   {}", written.digest);
    println!("archive  {}", output.display());
    println!("sbom     {} (CycloneDX)", bill.display());
    println!("size     {} bytes, compressed; policyd alone has {size}", written.size);
    println!("on a node: ctr --namespace k8s.io images import {}", output.display());
    Ok(())
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> ImageCommandError {
    let path = path.to_owned();
    |source| ImageCommandError::File { path, source }
}
