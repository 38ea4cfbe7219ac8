//! Container images from nothing: an OCI image archive of files of this machine, with no base image and no registry.
//!
//! [`Layer`] is the file tree, [`Image`] adds what a runtime must know to start it, and [`Image::write`] makes one tar file
//! of them that `ctr --namespace k8s.io images import FILE` takes, and `podman load` and `docker load` too. The same input
//! gives the same bytes: times are 1970, owners are root, names are sorted. [`Image::policyd`] is the one that we ship,
//! and [`build()`] makes its program.
//!
//! The format is the OCI Image Format Specification 1.1 (image-layout, manifest, config, layer).

mod archive;
mod build;
mod error;
mod layer;
mod libraries;
mod policyd;
mod reference;

pub use archive::{Image, Written};
pub use build::build;
pub use error::ImageError;
pub use layer::{Content, Layer};
pub use libraries::of as shared_libraries;
pub use reference::Reference;
