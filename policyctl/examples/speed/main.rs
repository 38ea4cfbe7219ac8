//! How long answers take, for folders whose size doubles four times.
//!
//! `cargo run --release -p policyctl --example speed [FOLDER]`. With a folder, one of 1,000 workloads and 1,000 policies is
//! written there and kept, to try the program itself on.

mod folder;

use policyctl::{
    explain::{self, Question},
    fix::{self, Goal},
    input::{self, Selection, Snapshot, Source},
    lint,
    matrix::{self, Matrix, Options},
    report::{Report, page},
};
use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const SIZES: [usize; 5] = [125, 250, 500, 1000, 2000];

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(kept) = std::env::args_os().nth(1) {
        return Ok(folder::write(Path::new(&kept), 1000)?);
    }
    println!(
        "workloads  policies      read   explain  with fix    matrix   as JSON      lint    report      rows  resident"
    );
    for size in SIZES {
        let path = std::env::temp_dir().join(format!("policyctl-speed-{}-{size}", std::process::id()));
        folder::write(&path, size)?;
        let measured = measure(&path, size);
        fs::remove_dir_all(&path)?;
        println!("{}", measured?);
    }
    Ok(())
}

fn measure(path: &Path, size: usize) -> Result<String, Box<dyn Error>> {
    let (read, snapshot) = timed(|| load(path));
    let snapshot = snapshot?;
    let question =
        Question { source: "team-0/deploy/app-1".parse()?, target: "team-1/deploy/app-25:8080".parse()? };
    let (explained, explanation) = timed(|| explain::explain(&snapshot, &question));
    let explanation = explanation?;
    let (fixed, _) = timed(|| fix::find(&snapshot, &explanation, Goal::Allow));
    let (computed, matrix) = timed(|| Matrix::new(&snapshot, &Options::default()));
    let mut text = Counter(0);
    let (written, result) = timed(|| matrix::write_json(&matrix, &mut text));
    result?;
    let rows = matrix.rows().count();
    drop(matrix);
    let (linted, _) = timed(|| lint::lint(&snapshot));
    let (reported, _) = timed(|| page::html(&Report::new(&snapshot, String::new())));
    Ok(format!(
        "{size:9}  {:8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {rows:8}  {:>5} MiB",
        snapshot.cluster.policies().len(),
        shown(read),
        shown(explained),
        shown(explained + fixed),
        shown(computed),
        shown(written),
        shown(linted),
        shown(reported),
        resident().unwrap_or_default() >> 20,
    ))
}

fn load(path: &Path) -> Result<Snapshot, input::InputError> {
    let sources = vec![Source::Path(PathBuf::from(path))];
    input::load(&Selection { sources, recursive: true, namespace: None })
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn shown(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Bytes of memory that this process has now.
fn resident() -> Option<usize> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}

/// Counts what is written to it.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
