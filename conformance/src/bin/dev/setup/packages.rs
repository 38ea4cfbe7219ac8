//! Debian packages: found by what they bring, installed with apt-get.

use super::SetupError;
use crate::workspace;
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// How to tell that a package is there, on any distribution.
enum Proof {
    /// This program is in the path, or where only root's path looks.
    Program(&'static str),
    /// pkg-config knows this library, so headers and library are there.
    Library(&'static str),
}

/// Every package with its proof. pkg-config comes first: the libraries are asked of it.
const PACKAGES: &[(&str, Proof)] = &[
    ("pkg-config", Proof::Program("pkg-config")),
    ("libmnl-dev", Proof::Library("libmnl")),
    ("libnftnl-dev", Proof::Library("libnftnl")),
    ("nftables", Proof::Program("nft")),
    ("iproute2", Proof::Program("ip")),
    ("conntrack", Proof::Program("conntrack")),
    ("iputils-ping", Proof::Program("ping")),
    ("procps", Proof::Program("sysctl")),
    ("kmod", Proof::Program("modprobe")),
    ("openssl", Proof::Program("openssl")),
    // Any version: it fetches the one that Kubernetes is built with.
    ("golang-go", Proof::Program("go")),
    // What the nodes of a test cluster run that is not built here. Debian's containerd brings runc, which cannot do without
    // CAP_SYS_RESOURCE.
    ("containerd", Proof::Program("containerd")),
    ("crun", Proof::Program("crun")),
    ("tini", Proof::Program("tini")),
    ("iptables", Proof::Program("iptables")),
    ("ipset", Proof::Program("ipset")),
];

/// Programs that something can do without, with what is then missing: a mirror that lacks them stops nobody.
const OPTIONAL: &[(&str, &str)] = &[
    ("chromium", "without a browser, whose tests will be skipped"),
    ("valgrind", "without counts of instructions in benchmarks"),
];

/// Whether a program of this name is found.
pub(crate) fn is_command(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let admin = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(admin).any(|dir| dir.join(name).is_file())
}

/// Whether a command runs and ends with status 0; it prints nothing.
fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// `cargo fmt` and `cargo clippy` come with rustup; only rustup can add them.
pub(super) fn rust_components() -> Result<(), SetupError> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !succeeds(workspace::cargo().args([tool, "--version"])) {
            return Err(SetupError::RustComponent { tool, component });
        }
    }
    Ok(())
}

fn missing() -> Vec<&'static str> {
    let is_there = |proof: &Proof| match proof {
        Proof::Program(name) => is_command(name),
        Proof::Library(name) => succeeds(Command::new("pkg-config").args(["--exists", name])),
    };
    PACKAGES.iter().filter(|(_, proof)| !is_there(proof)).map(|&(package, _)| package).collect()
}

/// Installs what is missing, after a line that says so.
pub(super) fn ensure() -> Result<(), SetupError> {
    let packages = missing();
    let is_apt_there = Path::new("/usr/bin/apt-get").exists();
    let can_install = is_apt_there && is_root();
    let wishes: Vec<_> = OPTIONAL.iter().filter(|(program, _)| can_install && !is_command(program)).collect();
    if packages.is_empty() && wishes.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !packages.is_empty() {
        if !is_apt_there {
            return Err(SetupError::NoApt { missing: list });
        }
        if !is_root() {
            return Err(SetupError::NotRoot { missing: list });
        }
        println!("installing with apt-get: {list}");
        update(&list)?;
        install(&packages)?;
    }
    let mut is_updated = !packages.is_empty();
    for (package, without) in wishes {
        println!("installing with apt-get: {package}");
        let updated = if is_updated { Ok(()) } else { update(package) };
        is_updated = true;
        if let Err(error) = updated.and_then(|()| install(&[package])) {
            println!("going on {without}: {error}");
        }
    }
    let left = missing();
    if left.is_empty() { Ok(()) } else { Err(SetupError::StillMissing { missing: left.join(" ") }) }
}

fn update(list: &str) -> Result<(), SetupError> {
    apt("update", &["-qq"], list)
}

fn install(packages: &[&str]) -> Result<(), SetupError> {
    let args = ["-qq", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"];
    let args: Vec<&str> = args.into_iter().chain(packages.iter().copied()).collect();
    apt("install", &args, &packages.join(" "))
}

fn apt(what: &'static str, args: &[&str], list: &str) -> Result<(), SetupError> {
    let status = Command::new("apt-get")
        .arg(what)
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .map_err(|source| SetupError::Start { program: "apt-get", source })?;
    if status.success() {
        return Ok(());
    }
    Err(SetupError::Apt { what, status: status.to_string(), missing: list.to_owned() })
}

/// Effective user id 0: the second number of `Uid:` in proc(5).
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}
