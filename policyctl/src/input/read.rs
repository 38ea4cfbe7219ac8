//! Files, folders and standard input, read within bounds.

use super::{Fault, Warning};
use policy_model::manifest::limits;
use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

/// A path or standard input, as `-f` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `-`.
    Stdin,
    /// A file or folder.
    Path(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::Path(text.into()) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// A path that cannot be read at all. Displays as one line with the path.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// There is nothing of this name.
    #[error("{}: there is no such file or folder", .0.display())]
    Missing(PathBuf),
    /// The system refuses.
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        #[source]
        reason: io::Error,
    },
}

/// What a source holds.
pub(super) enum Text {
    /// A text that can be read now; nothing is read before it is asked for, so that few are in memory at once.
    Readable { name: String, read: Box<dyn FnOnce() -> Result<String, Box<Fault>> + Send> },
    /// Something that is passed over.
    Unread { note: Warning },
    /// A folder within a folder that cannot be read.
    Refused { fault: Box<Fault> },
}

/// The endings of manifest files. A file that is named itself may end in anything.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The texts of a source, folders in the order of their names.
pub(super) fn texts(source: &Source, recursive: bool) -> Result<Vec<Text>, InputError> {
    match source {
        Source::Stdin => Ok(vec![Text::Readable {
            name: "(stdin)".to_owned(),
            read: Box::new(|| read_bounded("(stdin)", io::stdin().lock())),
        }]),
        Source::Path(path) => {
            let metadata = fs::metadata(path).map_err(|error| failed(path, error))?;
            if !metadata.is_dir() {
                return Ok(vec![file(path.clone())]);
            }
            let mut found = Folder::default();
            found.walk(path, recursive)?;
            let mut texts: Vec<Text> = found.files.into_iter().map(file).collect();
            texts.extend(found.refused.into_iter().map(|fault| Text::Refused { fault: Box::new(fault) }));
            if found.linked_folders > 0 && recursive {
                let note = Warning::LinksNotFollowed { path: path.clone(), links: found.linked_folders };
                texts.push(Text::Unread { note });
            }
            if found.unread_folders > 0 {
                let note = Warning::FoldersNotRead { path: path.clone(), folders: found.unread_folders };
                texts.push(Text::Unread { note });
            }
            Ok(texts)
        }
    }
}

fn failed(path: &Path, error: io::Error) -> InputError {
    match error.kind() {
        io::ErrorKind::NotFound => InputError::Missing(path.to_owned()),
        _ => InputError::Unreadable { path: path.to_owned(), reason: error },
    }
}

#[derive(Default)]
struct Folder {
    files: Vec<PathBuf>,
    unread_folders: usize,
    linked_folders: usize,
    refused: Vec<Fault>,
}

impl Folder {
    /// Links to files are followed, links to folders are not: these may lead in a circle. A link that leads nowhere is a file
    /// that cannot be read.
    fn walk(&mut self, folder: &Path, recursive: bool) -> Result<(), InputError> {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut paths: Vec<PathBuf> =
            entries.map_err(|error| failed(folder, error))?.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let is_link = path.is_symlink();
            if path.is_dir() {
                match (is_link, recursive) {
                    (true, _) => self.linked_folders += usize::from(!is_hidden(&path)),
                    (false, false) => self.unread_folders += 1,
                    (false, true) => {
                        if let Err(error) = self.walk(&path, true) {
                            self.refused.push(error.into_fault(&path));
                        }
                    }
                }
            } else if has_manifest_ending(&path) && (path.is_file() || is_link && !path.exists()) {
                self.files.push(path);
            }
        }
        Ok(())
    }
}

impl InputError {
    /// The same as what is wrong with a part of the input.
    fn into_fault(self, path: &Path) -> Fault {
        let message = match self {
            Self::Missing(_) => "there is no such file or folder".to_owned(),
            Self::Unreadable { reason, .. } => format!("cannot be read: {reason}"),
        };
        Fault::file(&path.display().to_string(), message, None)
    }
}

/// Whether a name begins with a point, as the links do that Kubernetes makes where it mounts a ConfigMap.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn has_manifest_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn file(path: PathBuf) -> Text {
    let name = path.display().to_string();
    let read = {
        let name = name.clone();
        Box::new(move || match File::open(&path) {
            Ok(file) => read_bounded(&name, file),
            Err(error) => Err(Box::new(Fault::file(&name, format!("cannot be read: {error}"), None))),
        })
    };
    Text::Readable { name, read }
}

/// What compressed files begin with (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads no more than [`limits::BYTES`], whatever the other end has to offer.
fn read_bounded(name: &str, from: impl Read) -> Result<String, Box<Fault>> {
    let mut bytes = Vec::new();
    let limit = limits::BYTES as u64;
    if let Err(error) = from.take(limit + 1).read_to_end(&mut bytes) {
        return Err(Box::new(Fault::file(name, format!("cannot be read: {error}"), None)));
    }
    if bytes.len() > limits::BYTES {
        let message =
            format!("it is larger than {} MiB, the most that one file may have", limits::BYTES >> 20);
        return Err(Box::new(Fault::file(name, message, Some("split it into several files".to_owned()))));
    }
    if bytes.starts_with(&GZIP) {
        let help = Some("unpack it first, as with gunzip".to_owned());
        return Err(Box::new(Fault::file(name, "it is compressed (gzip)".to_owned(), help)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        let message =
            format!("it is not UTF-8: the first wrong byte is number {at} (from 0), in line {line}");
        Box::new(Fault::file(name, message, Some("save it as UTF-8".to_owned())))
    })
}
