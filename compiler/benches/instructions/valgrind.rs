//! A child under callgrind.

use super::counted::{FROM_NOTHING, NOTHING, ROUNDS};
use std::{
    error::Error,
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

/// What this program is called with to be counted; the number of a size comes after it.
pub(super) const COUNTED: &str = "--counted";

/// Events by their names, with the instructions of each.
pub(super) type Counts = Vec<(String, u64)>;

/// The instructions of each event of a size, by its name; `None` without valgrind.
pub(super) fn count(size: usize) -> Result<Option<Counts>, Box<dyn Error>> {
    let within = tempfile::tempdir()?;
    let file = within.path().join("count");
    let child = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args([COUNTED, &size.to_string()])
        .stderr(Stdio::inherit())
        .output();
    let output = match child {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    if !output.status.success() {
        return Err(format!("what runs under valgrind ended with {}", output.status).into());
    }
    let printed = String::from_utf8(output.stdout)?;
    let counts = printed.lines().zip(2..).map(|(name, thread)| {
        let name = name.to_owned();
        total(&within.path().join(format!("count-{thread:02}"))).map(|count| (name, count))
    });
    let mut counts = counts.collect::<Result<Vec<_>, _>>()?;
    if counts.is_empty() || counts[0].0 != NOTHING {
        return Err("what runs under valgrind names no threads".into());
    }
    let (_, nothing) = counts.remove(0);
    let often = |name: &str| if name == FROM_NOTHING { 1 } else { ROUNDS as u64 };
    let each = |(name, count): (String, u64)| {
        let times = often(&name);
        (name, count.saturating_sub(nothing) / times)
    };
    Ok(Some(counts.into_iter().map(each).collect()))
}

/// The line `totals: N` of a file of callgrind's.
fn total(path: &Path) -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or_else(|| format!("{} has no total", path.display()))?.trim().parse()?)
}
