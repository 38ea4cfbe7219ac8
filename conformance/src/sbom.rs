//! The bill of materials of a program of this workspace: CycloneDX 1.6, JSON. Made of what cargo builds from (`cargo metadata`,
//! `Cargo.lock`) and of the shared libraries that go along with it, so that it says what is in the program and nothing else. The
//! same sources give the same bytes.
//!
//! Source: <https://cyclonedx.org/docs/1.6/json/>.

use crate::image::{ImageError, shared_libraries};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// It cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// Cargo did not answer.
    #[error("cargo metadata: {0}")]
    Cargo(String),
    /// Its answer or the lock file is not what is known.
    #[error("no such thing in what cargo says: {0}")]
    Missing(String),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// See [`ImageError`].
    #[error(transparent)]
    Libraries(#[from] ImageError),
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Name and version.
type Crate = (String, String);

/// What cargo builds `package` from, with the shared libraries of the program that it made. `cargo` is a command to ask with,
/// without arguments; `root` the workspace's folder.
///
/// # Errors
/// [`SbomError`].
pub fn of(
    cargo: impl Fn() -> Command,
    root: &Path,
    package: &str,
    program: &Path,
) -> Result<Value, SbomError> {
    let ask = |arguments: &[&str]| {
        let mut command = cargo();
        let output = command.args(arguments).current_dir(root).output();
        let output = output.map_err(|e| SbomError::Cargo(e.to_string()))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(SbomError::Cargo(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    };
    // Metadata know of every feature that anything in the workspace turns on; the tree of one package has its own alone.
    let tree = |edges: &str| -> Result<BTreeSet<Crate>, SbomError> {
        let tree = [
            "tree",
            "--locked",
            "--package",
            package,
            "--target",
            TARGET,
            "--prefix",
            "none",
            "--edges",
            edges,
        ];
        Ok(crates(&String::from_utf8_lossy(&ask(&tree)?)))
    };
    let metadata = ask(&["metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET])?;
    let metadata = serde_json::from_slice(&metadata).map_err(|e| SbomError::Cargo(e.to_string()))?;
    let lock = root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(|source| SbomError::File { path: lock, source })?;
    let known = Known { linked: tree("normal")?, used: tree("normal,build")?, checksums: checksums(&lock) };
    document(&metadata, &known, package, &shared_libraries(program)?)
}

/// What is known of a program's crates.
struct Known {
    /// In the program.
    linked: BTreeSet<Crate>,
    /// These, and what runs while they are built.
    used: BTreeSet<Crate>,
    /// The SHA-256 of what the registry served.
    checksums: BTreeMap<Crate, String>,
}

/// Lines `name v1.2.3 (where)`.
fn crates(tree: &str) -> BTreeSet<Crate> {
    let named = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    tree.lines().filter_map(named).collect()
}

/// By name and version, the SHA-256 of what the registry served.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let packages = lock.split("[[package]]").skip(1).filter_map(|part| {
        let field = |name: &str| {
            let line = part.lines().find(|line| line.starts_with(&format!("{name} = ")))?;
            Some(line.split('"').nth(1)?.to_owned())
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    });
    packages.collect()
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, SbomError> {
    value[field].as_str().ok_or_else(|| SbomError::Missing(field.to_owned()))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a [Value], SbomError> {
    value[field].as_array().map(Vec::as_slice).ok_or_else(|| SbomError::Missing(field.to_owned()))
}

fn document(
    metadata: &Value,
    known: &Known,
    package: &str,
    libraries: &[PathBuf],
) -> Result<Value, SbomError> {
    let mut references = BTreeMap::new();
    let (mut components, mut main) = (Vec::new(), None);
    for described in list(metadata, "packages")? {
        let (name, version) = (text(described, "name")?, text(described, "version")?);
        let key = (name.to_owned(), version.to_owned());
        if !known.used.contains(&key) {
            continue;
        }
        let reference = format!("pkg:cargo/{name}@{version}");
        let scope = if known.linked.contains(&key) { "required" } else { "excluded" };
        let mut component = component(described, known.checksums.get(&key), &reference, scope)?;
        references.insert(text(described, "id")?, reference);
        if name == package {
            component["type"] = "application".into();
            main = Some(component);
        } else {
            components.push(component);
        }
    }
    let mut links = Vec::new();
    for node in list(&metadata["resolve"], "nodes")? {
        let Some(reference) = references.get(text(node, "id")?) else { continue };
        let mut to = BTreeSet::new();
        for dependency in list(node, "deps")? {
            let for_tests = list(dependency, "dep_kinds")?.iter().all(|kind| kind["kind"] == "dev");
            to.extend(references.get(text(dependency, "pkg")?).filter(|_| !for_tests));
        }
        links.push(json!({"ref": reference, "dependsOn": to}));
    }
    let main = main.ok_or_else(|| SbomError::Missing(format!("the package {package}")))?;
    for library in libraries {
        let bytes = fs::read(library).map_err(|source| SbomError::File { path: library.clone(), source })?;
        let name = library.file_name().unwrap_or_default().to_string_lossy();
        components.push(json!({
            "type": "library", "bom-ref": format!("file:{name}"), "name": name, "scope": "required",
            "hashes": [{"alg": "SHA-256", "content": hexadecimal(&Sha256::digest(&bytes))}],
        }));
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main},
        "components": components,
        "dependencies": links,
    }))
}

fn component(
    package: &Value,
    checksum: Option<&String>,
    reference: &str,
    scope: &str,
) -> Result<Value, SbomError> {
    let (name, version) = (text(package, "name")?, text(package, "version")?);
    let mut component = Map::new();
    for (field, value) in
        [("type", "library"), ("bom-ref", reference), ("name", name), ("version", version), ("scope", scope)]
    {
        component.insert(field.to_owned(), value.into());
    }
    component.insert("purl".into(), reference.into());
    if let Some(licence) = package["license"].as_str() {
        // SPDX has no slash for "or", which old crates write.
        component.insert("licenses".into(), json!([{"expression": licence.replace('/', " OR ")}]));
    }
    if let Some(checksum) = checksum {
        component.insert("hashes".into(), json!([{"alg": "SHA-256", "content": checksum}]));
    }
    if let Some(repository) = package["repository"].as_str() {
        component.insert("externalReferences".into(), json!([{"type": "vcs", "url": repository}]));
    }
    Ok(component.into())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
