//! The archive of an image, read back: its layout, its digests and its layer, as the OCI Image Format Specification has them.

use conformance::image::{Content, Image, Layer, Reference};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, io::Read};

fn image(gzip: bool) -> Image {
    let mut layer = Layer::new();
    let this = std::env::current_exe().expect("this program");
    layer.file("/usr/bin/it", Content::Host(this), 0o755).expect("a file of the host");
    layer.file("/etc/hello", Content::Bytes(b"hello\n".to_vec()), 0o644).expect("a file of bytes");
    layer.symlink("/bin", "usr/bin").expect("a link");
    Image {
        entrypoint: vec!["/usr/bin/it".into(), "--list".into()],
        environment: [("HOME".into(), "/".into())].into(),
        user: "65532".into(),
        labels: [("org.opencontainers.image.title".into(), "it".into())].into(),
        gzip,
        ..Image::new(Reference::new("ghcr.io/palisade-policy/it:0.1").expect("a reference"), layer)
    }
}

fn files(tar: impl Read) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("a tar archive").map(|entry| {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its bytes");
        (entry.path().expect("its path").display().to_string(), bytes)
    });
    entries.collect()
}

/// The blob that a descriptor is of, which must have the descriptor's size and digest.
fn blob<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let bytes = &files[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(descriptor["size"], bytes.len());
    assert_eq!(digest, sha256(bytes));
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[test]
fn an_archive_is_found_whole_from_its_index_to_the_files() {
    for gzip in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.tar");
        let written = image(gzip).write(&path).unwrap();
        assert_eq!(written.size, fs::metadata(&path).unwrap().len());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");

        let archive = files(fs::File::open(&path).unwrap());
        let layout: Value = serde_json::from_slice(&archive["oci-layout"]).unwrap();
        assert_eq!(layout["imageLayoutVersion"], "1.0.0");
        let index: Value = serde_json::from_slice(&archive["index.json"]).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!(entry["annotations"]["io.containerd.image.name"], "ghcr.io/palisade-policy/it:0.1");
        assert_eq!(entry["digest"], *written.digest);
        let manifest: Value = serde_json::from_slice(blob(&archive, entry)).unwrap();
        let config: Value = serde_json::from_slice(blob(&archive, &manifest["config"])).unwrap();
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/it");
        assert_eq!(config["config"]["Env"][0], "HOME=/");
        assert_eq!(config["config"]["User"], "65532");
        assert_eq!(config["os"], "linux");

        let layer = blob(&archive, &manifest["layers"][0]);
        let mut tree = Vec::new();
        if gzip {
            assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
            flate2::read::GzDecoder::new(layer).read_to_end(&mut tree).unwrap();
        } else {
            tree.extend(layer);
        }
        assert_eq!(config["rootfs"]["diff_ids"][0], sha256(&tree));
        let tree = files(&*tree);
        assert_eq!(tree["etc/hello"], b"hello\n");
        assert_eq!(tree["usr/bin/it"], fs::read(std::env::current_exe().unwrap()).unwrap());
    }
}

#[test]
fn the_same_files_give_the_same_bytes_and_other_files_another_digest() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.tar"), folder.path().join("two.tar"));
    let first = image(true).write(&one).unwrap();
    assert_eq!(first, image(true).write(&two).unwrap());
    assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap());
    let mut changed = image(true);
    changed.layer.file("/etc/more", Content::Bytes(Vec::new()), 0o600).unwrap();
    assert_ne!(changed.write(&two).unwrap().digest, first.digest);
}
