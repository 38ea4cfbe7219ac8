//! The folder that `policyd` watches: the company's own files, and the changes that the demo makes to them.

use super::DemoError;
use crate::enforced::PolicydError;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A change of one file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    /// The first `old` after the first `after` becomes `new`. Both are whole lines without their indentation; an empty
    /// `new` removes the line.
    Line { file: &'static str, after: &'static str, old: &'static str, new: &'static str },
    /// A document of a file goes: the one with this line.
    Document { file: &'static str, with: &'static str },
    /// A new file.
    Add { file: &'static str, text: &'static str },
    /// A file goes.
    Remove { file: &'static str },
}

/// A change that is ready to be made.
#[derive(Debug)]
pub(super) struct Planned {
    /// The file's name, with the line where that helps.
    pub(super) place: String,
    /// `-` and `+` lines: three at most of each.
    pub(super) diff: Vec<(char, String)>,
    file: &'static str,
    text: Option<String>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    source: PathBuf,
}

/// Of a diff, as many lines are shown.
const SHOWN: usize = 3;

impl Folder {
    /// Copies the company's manifests, without its policies.
    pub(super) fn new(source: &Path, root: PathBuf) -> Result<Self, DemoError> {
        fs::create_dir_all(&root).map_err(DemoError::io(&root))?;
        let folder = Self { root, source: source.to_owned() };
        for file in folder.originals(false)? {
            folder.copy(&file)?;
        }
        Ok(folder)
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Copies the company's policies into it.
    pub(super) fn add_policies(&self) -> Result<(), DemoError> {
        self.originals(true)?.iter().try_for_each(|file| self.copy(file))
    }

    /// Makes all files what they are in the company's own folder.
    pub(super) fn restore(&self) -> Result<(), DemoError> {
        let files = [self.originals(false)?, self.originals(true)?].concat();
        for file in names(&self.root)?.iter().filter(|name| !files.contains(name)) {
            let path = self.root.join(file);
            fs::remove_file(&path).map_err(DemoError::io(&path))?;
        }
        for file in &files {
            if self.read(&self.root, file)? != self.read(&self.source, file)? {
                self.copy(file)?;
            }
        }
        Ok(())
    }

    /// Makes one file what it is in the company's own folder.
    pub(super) fn restore_file(&self, file: &str) -> Result<(), DemoError> {
        self.copy(file)
    }

    /// Works out what a change does; nothing is written yet.
    pub(super) fn plan(&self, edit: Edit) -> Result<Planned, DemoError> {
        match edit {
            Edit::Line { file, after, old, new } => self.plan_line(file, after, old, new),
            Edit::Document { file, with } => {
                let text = self.read(&self.root, file)?;
                let (gone, rest): (Vec<&str>, Vec<&str>) =
                    text.split("---\n").partition(|d| d.lines().any(|line| line.trim() == with));
                let [gone] = gone[..] else {
                    return Err(DemoError::Company(format!("{file} has not one document with `{with}`")));
                };
                let diff = gone.lines().filter(|line| !line.starts_with('#')).take(SHOWN);
                let diff = diff.chain(["…"]).map(|line| ('-', line.to_owned())).collect();
                let place = format!("{file}, {} lines", gone.lines().count());
                Ok(Planned { place, diff, file, text: Some(rest.join("---\n")) })
            }
            Edit::Add { file, text } => {
                let lines: Vec<&str> = text.lines().collect();
                let shown = lines.iter().rev().take(SHOWN).rev();
                let diff = shown.map(|line| ('+', (*line).to_owned())).collect();
                let place = format!("{file}, new, {} lines, of which the last are", lines.len());
                Ok(Planned { place, diff, file, text: Some(text.to_owned()) })
            }
            Edit::Remove { file } => {
                Ok(Planned { place: format!("{file} is removed"), diff: Vec::new(), file, text: None })
            }
        }
    }

    fn plan_line(&self, file: &'static str, after: &str, old: &str, new: &str) -> Result<Planned, DemoError> {
        let text = self.read(&self.root, file)?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let from = lines.iter().position(|line| line.trim() == after);
        let at = from.and_then(|from| (from..lines.len()).find(|&i| lines[i].trim() == old));
        let Some(at) = at else {
            return Err(DemoError::Company(format!("{file} has no line `{old}` after `{after}`")));
        };
        let indent = lines[at].len() - lines[at].trim_start().len();
        let mut diff = vec![('-', lines[at].clone())];
        if new.is_empty() {
            lines.remove(at);
        } else {
            lines[at] = format!("{:indent$}{new}", "");
            diff.push(('+', lines[at].clone()));
        }
        let text = Some(lines.join("\n") + "\n");
        Ok(Planned { place: format!("{file}:{}", at + 1), diff, file, text })
    }

    /// Makes a change, in one step for whoever watches.
    pub(super) fn make(&self, planned: &Planned) -> Result<(), PolicydError> {
        let path = self.root.join(planned.file);
        let done = match &planned.text {
            Some(text) => self.write(planned.file, text),
            None => fs::remove_file(&path),
        };
        done.map_err(|source| PolicydError::Io { what: path.display().to_string(), source })
    }

    fn copy(&self, file: &str) -> Result<(), DemoError> {
        let text = self.read(&self.source, file)?;
        self.write(file, &text).map_err(DemoError::io(&self.root.join(file)))
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        // Beside the folder and not in it, so that the watch sees one event.
        let new = self.root.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(new, self.root.join(file))
    }

    fn read(&self, folder: &Path, file: &str) -> Result<String, DemoError> {
        let path = folder.join(file);
        match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && folder == self.root => Ok(String::new()),
            read => read.map_err(DemoError::io(&path)),
        }
    }

    /// The company's files: those with policies, or the others.
    fn originals(&self, policies: bool) -> Result<Vec<String>, DemoError> {
        let mut names = names(&self.source)?;
        names.retain(|name| name.starts_with("policy-") == policies);
        Ok(names)
    }
}

fn names(folder: &Path) -> Result<Vec<String>, DemoError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(DemoError::io(folder))?;
    let mut names: Vec<_> = entries.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one manifest and one policy, gone with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> (Self, Folder) {
            let path = std::env::temp_dir().join(format!("palisade-demo-{}-{name}", std::process::id()));
            let source = path.join("company");
            fs::create_dir_all(&source).unwrap();
            fs::write(source.join("pods.yaml"), "name: a\n  app: x\n---\nname: b\n  app: x\n").unwrap();
            fs::write(source.join("policy-a.yaml"), "policy\n").unwrap();
            let folder = Folder::new(&source, path.join("manifests")).unwrap();
            (Self(path), folder)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn text(folder: &Folder) -> String {
        fs::read_to_string(folder.root().join("pods.yaml")).unwrap()
    }

    #[test]
    fn a_line_is_changed_after_the_one_that_names_its_object() {
        let (_scratch, folder) = Scratch::new("line");
        let edit = Edit::Line { file: "pods.yaml", after: "name: b", old: "app: x", new: "app: y" };
        let planned = folder.plan(edit).unwrap();
        assert_eq!(planned.place, "pods.yaml:5");
        assert_eq!(planned.diff, [('-', "  app: x".to_owned()), ('+', "  app: y".to_owned())]);
        folder.make(&planned).unwrap();
        assert_eq!(text(&folder), "name: a\n  app: x\n---\nname: b\n  app: y\n");
        let message = folder.plan(edit).unwrap_err().to_string();
        assert!(message.contains("pods.yaml has no line `app: x` after `name: b`"), "{message}");
    }

    #[test]
    fn a_document_goes_and_everything_comes_back() {
        let (_scratch, folder) = Scratch::new("document");
        assert_eq!(names(folder.root()).unwrap(), ["pods.yaml"], "policies come later");
        folder.add_policies().unwrap();
        for edit in [
            Edit::Document { file: "pods.yaml", with: "name: b" },
            Edit::Add { file: "new.yaml", text: "new\n" },
            Edit::Remove { file: "policy-a.yaml" },
        ] {
            folder.make(&folder.plan(edit).unwrap()).unwrap();
        }
        assert_eq!(text(&folder), "name: a\n  app: x\n");
        assert_eq!(names(folder.root()).unwrap(), ["new.yaml", "pods.yaml"]);
        folder.restore().unwrap();
        assert_eq!(names(folder.root()).unwrap(), ["pods.yaml", "policy-a.yaml"]);
        assert_eq!(text(&folder), "name: a\n  app: x\n---\nname: b\n  app: x\n");
    }
}
