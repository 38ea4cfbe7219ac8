//! An image and the archive of it.

use super::{
    ImageError, Layer, Reference,
    layer::{directory, file},
};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    env::consts::ARCH,
    fs,
    io::{self, Write},
    path::Path,
};

/// When everything was made: the same bytes each time need the same time.
const TIME: &str = "1970-01-01T00:00:00Z";
/// What containerd calls an imported image. Without it, it would take the tag alone for the whole name.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image of this machine's architecture.
///
/// ```no_run
/// use conformance::image::{Content, Image, Layer, Reference};
/// # fn main() -> Result<(), conformance::image::ImageError> {
/// let mut layer = Layer::new();
/// layer.file("/pause", Content::Host("/tmp/pause".into()), 0o755)?;
/// let image = Image {
///     entrypoint: vec!["/pause".into()],
///     user: "65535:65535".into(),
///     ..Image::new(Reference::new("registry.k8s.io/pause:3.10.1")?, layer)
/// };
/// let written = image.write("/tmp/pause.tar".as_ref())?;
/// println!("{} bytes, {}", written.size, written.digest);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    /// What it is called.
    pub name: Reference,
    /// Its files.
    pub layer: Layer,
    /// What a container of it runs, with its first arguments; a pod's `command` takes its place.
    pub entrypoint: Vec<String>,
    /// Arguments where a pod gives none.
    pub command: Vec<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// `uid`, `uid:gid` or a name of its `/etc/passwd`; empty is root.
    pub user: String,
    /// Labels, such as `org.opencontainers.image.source`.
    pub labels: BTreeMap<String, String>,
    /// Whether the layer is compressed: smaller, and some seconds slower to make and to import.
    pub gzip: bool,
}

/// What [`Image::write`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Of the archive, in bytes.
    pub size: u64,
    /// Of the manifest, as `sha256:…`: the digest that a registry or `ctr images list` shows.
    pub digest: String,
}

impl Image {
    /// Files under a name, and nothing said of how they are run: root, no entry point, not compressed.
    #[must_use]
    pub fn new(name: Reference, layer: Layer) -> Self {
        Self {
            name,
            layer,
            entrypoint: Vec::new(),
            command: Vec::new(),
            environment: BTreeMap::new(),
            user: String::new(),
            labels: BTreeMap::new(),
            gzip: false,
        }
    }

    /// Writes the archive. What was at `path` before is replaced in one step, once all is written.
    ///
    /// # Errors
    /// [`ImageError::Io`] with the file that cannot be read or written, [`ImageError::Architecture`].
    pub fn write(&self, path: &Path) -> Result<Written, ImageError> {
        let architecture = architecture()?;
        let mut blobs = Blobs::default();
        let tree = self.layer.tar()?;
        let diff_id = digest(&tree);
        let (kind, tree) = if self.gzip { ("tar+gzip", compress(&tree)?) } else { ("tar", tree) };
        let layer = blobs.add(&format!("application/vnd.oci.image.layer.v1.{kind}"), tree);
        let config = self.config(architecture, &diff_id).to_string().into_bytes();
        let config = blobs.add("application/vnd.oci.image.config.v1+json", config);
        let manifest_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": config,
            "layers": [layer],
        });
        let manifest = manifest.to_string().into_bytes();
        let manifest_digest = digest(&manifest);
        let mut manifest = blobs.add(manifest_type, manifest);
        manifest["platform"] = json!({ "architecture": architecture, "os": "linux" });
        manifest["annotations"] = json!({
            CONTAINERD_NAME: self.name.to_string(),
            "org.opencontainers.image.ref.name": self.name.tag(),
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        let size = blobs.write(path, &index).map_err(ImageError::io(path))?;
        Ok(Written { size, digest: manifest_digest })
    }

    fn config(&self, architecture: &str, diff_id: &str) -> Value {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        json!({
            "created": TIME,
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": self.user,
                "Env": environment.collect::<Vec<_>>(),
                "Entrypoint": self.entrypoint,
                "Cmd": self.command,
                "WorkingDir": "/",
                "Labels": self.labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created": TIME, "created_by": "conformance::image" }],
        })
    }
}

/// What an archive holds, by digest.
#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Keeps a blob and gives its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = digest(&bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        self.0.insert(digest, bytes);
        descriptor
    }

    fn write(&self, path: &Path, index: &Value) -> io::Result<u64> {
        let mut half = path.as_os_str().to_owned();
        half.push(".part");
        let mut tar = tar::Builder::new(io::BufWriter::new(fs::File::create(&half)?));
        directory(&mut tar, "blobs", 0o755)?;
        directory(&mut tar, "blobs/sha256", 0o755)?;
        for (digest, bytes) in &self.0 {
            file(&mut tar, &format!("blobs/{}", digest.replace(':', "/")), 0o644, bytes)?;
        }
        file(&mut tar, "index.json", 0o644, index.to_string().as_bytes())?;
        file(&mut tar, "oci-layout", 0o644, json!({ "imageLayoutVersion": "1.0.0" }).to_string().as_bytes())?;
        tar.into_inner()?.flush()?;
        fs::rename(&half, path)?;
        Ok(fs::metadata(path)?.len())
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let wrong = || ImageError::io("the layer");
    // The builder leaves out the name and the time of the file.
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    writer.write_all(bytes).map_err(wrong())?;
    writer.finish().map_err(wrong())
}

/// This machine's architecture, as Go and images call it.
fn architecture() -> Result<&'static str, ImageError> {
    match ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        "riscv64" | "s390x" => Ok(ARCH),
        other => Err(ImageError::Architecture(other)),
    }
}
