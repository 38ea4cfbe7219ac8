//! The image of policyd has all that policyd needs: its files alone, as the root of a file system, run it.

use conformance::{enforced, image::Image};
use std::{fs, path::Path, process::Command};

/// Unpacks an archive's one layer: the blob that is compressed.
fn unpack(archive: &Path, folder: &Path) {
    let script = r#"
        mkdir -p "$2/blobs" "$2/root" && tar -xf "$1" -C "$2/blobs"
        for blob in "$2"/blobs/blobs/sha256/*; do
            if gzip -t "$blob" 2>/dev/null; then tar -xzf "$blob" -C "$2/root"; fi
        done"#;
    let status = Command::new("sh").args(["-ec", script, "sh"]).args([archive, folder]).status();
    assert!(status.is_ok_and(|status| status.success()), "tar");
}

#[test]
fn its_files_alone_run_it() {
    let program = enforced::binary().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let archive = temporary.path().join("policyd.tar");
    let image = Image::policyd(&program, "9.9.9").unwrap();
    let written = image.write(&archive).unwrap();
    assert!(written.size < fs::metadata(&program).unwrap().len(), "{written:?}");
    assert_eq!(image.name.to_string(), "ghcr.io/palisade-policy/policyd:9.9.9");

    unpack(&archive, temporary.path());
    let root = temporary.path().join("root");
    let run = |arguments: &[&str]| {
        Command::new("chroot").arg(&root).args(&image.entrypoint).args(arguments).output().unwrap()
    };
    let version = run(&["--version"]);
    assert_eq!(
        String::from_utf8_lossy(&version.stdout).trim(),
        concat!("policyd ", env!("CARGO_PKG_VERSION"))
    );
    // It has no folder of manifests, and says so: the program is whole, not only its first page.
    let refused = run(&["run", "--node-name", "w1", "--manifests", "/none", "--dry-run"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("/none"), "{refused:?}");

    // Without one of its libraries it does not start: the test sees what is missing.
    let library = fs::read_dir(root.join("lib")).or_else(|_| fs::read_dir(root.join("usr/lib"))).unwrap();
    let folder = library.flatten().next().expect("libraries").path();
    let mnl = fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
    let mnl = mnl.into_iter().find(|path| path.to_string_lossy().contains("libmnl")).expect("libmnl");
    fs::remove_file(mnl).unwrap();
    assert!(!run(&["--version"]).status.success());
}
