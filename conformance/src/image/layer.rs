//! The file tree of an image.

use super::ImageError;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use tar::{Builder, EntryType, Header};

/// Where a file's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// They are here.
    Bytes(Vec<u8>),
    /// A file of this machine, read when the image is written; links are followed.
    Host(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Directory { mode: u32 },
    File { mode: u32, content: Content },
    Symlink { target: String },
}

/// Files, folders and links by their path in the image. All belong to root; folders above an entry come by themselves, with
/// mode 0755.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    // In the order of their names a folder is before what is in it.
    entries: BTreeMap<String, Entry>,
}

impl Layer {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. `mode` is that of `chmod`, such as `0o755`.
    ///
    /// # Errors
    /// [`ImageError::Path`], [`ImageError::Taken`].
    pub fn file(&mut self, path: &str, content: Content, mode: u32) -> Result<&mut Self, ImageError> {
        self.add(path, Entry::File { mode, content })
    }

    /// Adds a folder that shall be there although nothing is in it, or with another mode than 0755.
    ///
    /// # Errors
    /// [`ImageError::Path`], [`ImageError::Taken`].
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<&mut Self, ImageError> {
        self.add(path, Entry::Directory { mode })
    }

    /// Adds a symbolic link to `target`, which need not exist.
    ///
    /// # Errors
    /// [`ImageError::Path`], [`ImageError::Taken`].
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<&mut Self, ImageError> {
        self.add(path, Entry::Symlink { target: target.to_owned() })
    }

    fn add(&mut self, path: &str, entry: Entry) -> Result<&mut Self, ImageError> {
        let name = path.strip_prefix('/').ok_or_else(|| ImageError::Path(path.to_owned()))?;
        if name.contains('\0') || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(ImageError::Path(path.to_owned()));
        }
        for (slash, _) in name.match_indices('/') {
            let above = self.entries.entry(name[..slash].to_owned());
            if !matches!(above.or_insert(Entry::Directory { mode: 0o755 }), Entry::Directory { .. }) {
                return Err(ImageError::Taken(format!("/{}", &name[..slash])));
            }
        }
        match (self.entries.get(name), &entry) {
            // It may have come by itself before its own mode was said.
            (None, _) | (Some(Entry::Directory { .. }), Entry::Directory { .. }) => {}
            (Some(_), _) => return Err(ImageError::Taken(path.to_owned())),
        }
        self.entries.insert(name.to_owned(), entry);
        Ok(self)
    }

    /// The tree as an uncompressed tar file.
    ///
    /// # Errors
    /// [`ImageError::Io`] with the file of this machine that cannot be read.
    pub(super) fn tar(&self) -> Result<Vec<u8>, ImageError> {
        let mut tar = Builder::new(Vec::new());
        for (name, entry) in &self.entries {
            match entry {
                Entry::Directory { mode } => directory(&mut tar, name, *mode),
                Entry::File { mode, content: Content::Bytes(bytes) } => file(&mut tar, name, *mode, bytes),
                Entry::File { mode, content: Content::Host(path) } => {
                    let bytes = fs::read(path).map_err(ImageError::io(path))?;
                    file(&mut tar, name, *mode, &bytes)
                }
                Entry::Symlink { target } => {
                    let mut header = header(EntryType::Symlink, 0o777);
                    tar.append_link(&mut header, name, target)
                }
            }
            .map_err(ImageError::io(Path::new("/").join(name)))?;
        }
        tar.into_inner().map_err(ImageError::io("the layer"))
    }
}

/// Appends a folder. What comes after is about neither owners nor times: [`header`] fixes them.
pub(super) fn directory<W: io::Write>(tar: &mut Builder<W>, name: &str, mode: u32) -> io::Result<()> {
    tar.append_data(&mut header(EntryType::Directory, mode), format!("{name}/"), io::empty())
}

/// Appends a file.
pub(super) fn file<W: io::Write>(
    tar: &mut Builder<W>,
    name: &str,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = header(EntryType::Regular, mode);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, name, bytes)
}

/// Of root and of 1970, so that the same files give the same bytes.
fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Content {
        Content::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn a_tree_is_sorted_with_its_folders_and_the_order_of_adding_is_not_seen() {
        let mut one = Layer::new();
        one.file("/usr/bin/it", bytes("x"), 0o755).unwrap().symlink("/bin", "usr/bin").unwrap();
        one.directory("/tmp", 0o1777).unwrap();
        let mut other = Layer::new();
        other.directory("/tmp", 0o1777).unwrap().symlink("/bin", "usr/bin").unwrap();
        other.directory("/usr/bin", 0o755).unwrap().file("/usr/bin/it", bytes("x"), 0o755).unwrap();
        let tar = one.tar().unwrap();
        assert_eq!(tar, other.tar().unwrap());
        let mut archive = tar::Archive::new(&*tar);
        let entries: Vec<(String, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
            })
            .collect();
        let names = ["bin", "tmp/", "usr/", "usr/bin/", "usr/bin/it"];
        assert_eq!(entries.iter().map(|entry| &*entry.0).collect::<Vec<_>>(), names);
        assert_eq!(
            entries.iter().map(|entry| entry.1).collect::<Vec<_>>(),
            [0o777, 0o1777, 0o755, 0o755, 0o755]
        );
    }

    #[test]
    fn paths_that_lead_elsewhere_or_are_taken_are_refused() {
        let mut layer = Layer::new();
        layer.file("/etc/passwd", bytes(""), 0o644).unwrap();
        for path in ["etc", "/", "/a//b", "/a/../b", "/./a", "/a/", ""] {
            assert!(matches!(layer.file(path, bytes(""), 0o644), Err(ImageError::Path(_))), "{path}");
        }
        for path in ["/etc/passwd", "/etc", "/etc/passwd/x"] {
            assert!(matches!(layer.file(path, bytes(""), 0o644), Err(ImageError::Taken(_))), "{path}");
        }
        layer.file("/gone", Content::Host("/nonexistent/file".into()), 0o644).unwrap();
        let error = layer.tar().unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/file: "), "{error}");
    }
}
