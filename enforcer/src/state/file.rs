//! The file: header, objects, digest; whole or not at all.

use super::State;
use crate::source::kube::ObjectReader;
use policy_model::cluster::Change;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

/// What the first line says it is.
const WHAT: &str = "objects";
/// Of this form of the file. A file of another version is not used.
const VERSION: u32 = 1;
/// Written in pieces of about this many bytes.
const PIECE: usize = 1 << 16;
/// A line longer than this is no object of Kubernetes, which are at most 1.5 MiB in etcd.
const LONGEST_LINE: u64 = 8 << 20;

/// Why a state on disk is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is there and cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first line is not ours: torn at once, or another program's file.
    #[error("it does not begin as a state of policyd")]
    Header,
    /// Written by a newer or an older policyd.
    #[error("it is of version {0}, and this policyd knows version {VERSION}")]
    Version(u32),
    /// The last line is missing.
    #[error("it is torn after {0} objects")]
    Torn(usize),
    /// It is not as it was written.
    #[error("its checksum does not hold")]
    Checksum,
    /// An object cannot be understood although the checksum holds.
    #[error("line {line} cannot be understood: {why}")]
    Object {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    palisade: String,
    version: u32,
    node: String,
}

#[derive(Serialize, Deserialize)]
struct End {
    objects: usize,
    sha256: String,
}

/// Reads a state: the changes that make it from nothing. `None`: there is none.
///
/// # Errors
/// See [`StateError`].
pub fn read(path: &Path) -> Result<Option<Vec<Change>>, StateError> {
    let file = match File::open(path) {
        Ok(file) => BufReader::with_capacity(PIECE, file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut lines = Lines { file, digest: Context::new(&SHA256), line: Vec::new(), count: 0 };
    let header: Header =
        lines.next()?.and_then(|line| serde_json::from_slice(line).ok()).ok_or(StateError::Header)?;
    if header.palisade != WHAT {
        return Err(StateError::Header);
    }
    if header.version != VERSION {
        return Err(StateError::Version(header.version));
    }
    let mut reader = ObjectReader::default();
    let mut changes = Vec::new();
    // What cannot be understood counts only if the checksum holds: else it is damage.
    let mut problem = None;
    loop {
        let before = lines.digest.clone();
        let Some(line) = lines.next()? else { return Err(StateError::Torn(changes.len())) };
        if line.starts_with(b"{\"objects\":") {
            let end: End = serde_json::from_slice(line).map_err(|_| StateError::Torn(changes.len()))?;
            if end.sha256 != hex(before.finish().as_ref()) {
                return Err(StateError::Checksum);
            }
            return match problem {
                None => Ok(Some(changes)),
                Some(problem) => Err(problem),
            };
        }
        let object = str::from_utf8(line).map_err(|e| e.to_string()).and_then(|text| reader.read(text));
        match object {
            Ok(change) => changes.push(change),
            Err(why) => {
                problem.get_or_insert(StateError::Object { line: lines.count, why });
            }
        }
    }
}

/// The lines of a file, and the digest of those that were read.
struct Lines {
    file: BufReader<File>,
    digest: Context,
    line: Vec<u8>,
    count: usize,
}

impl Lines {
    /// `None`: there is no whole line any more.
    fn next(&mut self) -> Result<Option<&[u8]>, StateError> {
        self.line.clear();
        (&mut self.file).take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        self.digest.update(&self.line);
        self.count += 1;
        Ok(self.line.strip_suffix(b"\n"))
    }
}

/// Writes a state beside the old one, and puts it in its place once it is on the disk. Gives its size in bytes.
///
/// # Errors
/// The folder cannot be written, or the disk is full; the old state is then as it was.
pub fn write(path: &Path, node: &str, state: &State) -> io::Result<u64> {
    let draft = path.with_extension("new");
    let written = write_draft(&draft, node, state).and_then(|bytes| {
        fs::rename(&draft, path)?;
        // The name is on the disk only once the folder is.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(bytes)
    });
    if written.is_err() {
        // What there is of it takes room that may be what is missing.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_draft(draft: &Path, node: &str, state: &State) -> io::Result<u64> {
    if let Some(folder) = draft.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(draft)?;
    let mut digest = Context::new(&SHA256);
    let mut bytes = 0;
    let mut put = |piece: &mut Vec<u8>, digest: &mut Context| {
        digest.update(piece);
        bytes += piece.len() as u64;
        let done = file.write_all(piece);
        piece.clear();
        done
    };
    let header = Header { palisade: WHAT.to_owned(), version: VERSION, node: node.to_owned() };
    let mut piece = serde_json::to_vec(&header)?;
    piece.push(b'\n');
    let mut objects = 0;
    for object in state.objects() {
        object.write(&mut piece)?;
        objects += 1;
        if piece.len() >= PIECE {
            put(&mut piece, &mut digest)?;
        }
    }
    put(&mut piece, &mut digest)?;
    piece = serde_json::to_vec(&End { objects, sha256: hex(digest.clone().finish().as_ref()) })?;
    piece.push(b'\n');
    put(&mut piece, &mut digest)?;
    file.sync_all()?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
