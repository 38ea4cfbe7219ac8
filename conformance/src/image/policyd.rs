//! The image of `policyd`.

use super::{Content, Image, ImageError, Layer, Reference, libraries};
use std::path::Path;

/// Its name without the tag; deploy/ has the same.
const REPOSITORY: &str = "ghcr.io/palisade-policy/policyd";
const PATH: &str = "/usr/bin/policyd";
const LICENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSES/GPL-2.0-or-later.txt");

impl Image {
    /// `policyd` and the shared libraries that it needs, and nothing else: no shell, no other program, no base image. The
    /// libraries are this machine's; of the host that it runs on it uses the kernel alone.
    ///
    /// # Errors
    /// [`ImageError::Reference`] for a tag that is none, [`ImageError::Libraries`].
    pub fn policyd(program: &Path, tag: &str) -> Result<Self, ImageError> {
        let name = Reference::new(&format!("{REPOSITORY}:{tag}"))?;
        let mut layer = Layer::new();
        layer.file(PATH, Content::Host(program.to_owned()), 0o755)?;
        layer.file("/usr/share/licenses/policyd/LICENSE", Content::Host(LICENCE.into()), 0o644)?;
        for library in libraries::of(program)? {
            let path = library.to_string_lossy().into_owned();
            layer.file(&path, Content::Host(library), 0o755)?;
        }
        let labels = [
            ("title", "policyd"),
            ("description", "Enforces Kubernetes NetworkPolicy with nftables"),
            ("version", tag),
            ("licenses", "GPL-2.0-or-later"),
        ];
        let labels = labels.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned()));
        Ok(Self {
            entrypoint: vec![PATH.to_owned()],
            user: "0:0".to_owned(),
            labels: labels.into(),
            gzip: true,
            ..Self::new(name, layer)
        })
    }
}
