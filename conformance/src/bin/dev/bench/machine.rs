//! What the figures were measured on.

use std::{fs, path::Path, process::Command};

/// A line for each thing that a reader who compares figures must know: its name, and what it is.
pub(crate) fn read(root: &Path) -> Vec<(&'static str, String)> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(root).output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default();
        if text.is_empty() { "unknown".to_owned() } else { text }
    };
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    vec![
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("commit", said("git", &["describe", "--always", "--dirty"])),
        ("processor", format!("{processors} x {}", field("/proc/cpuinfo", "model name"))),
        (
            "returns and indirect calls",
            said(
                "cat",
                &[
                    "/sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow",
                    "/sys/devices/system/cpu/vulnerabilities/spectre_v2",
                ],
            )
            .replace('\n', "; "),
        ),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", said("uname", &["-srm"])),
        ("nft", said("nft", &["--version"])),
        ("rustc", said("rustc", &["--version"])),
    ]
}
