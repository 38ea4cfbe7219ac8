//! What is wrong with an input, as reports with the place marked in the text.

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};
use policy_model::{
    admission,
    manifest::{Location, Problem},
};
use std::{fmt, path::PathBuf, sync::Arc};

/// A file, document or object that is refused. As a [`Diagnostic`] it shows the lines around the place.
#[derive(Debug)]
pub struct Fault {
    /// `NetworkPolicy prod/db: spec.ingress[0]…: …`, or the file and what is wrong with it.
    message: String,
    help: Option<String>,
    /// The file's name, and the place within it if there is one.
    file: String,
    mark: Option<Mark>,
    kind: FaultKind,
    /// The object, its field, and what is wrong with it: the parts of the message.
    parts: Box<(Option<String>, String, String)>,
}

/// What is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A whole file or document.
    Document,
    /// An object that has a field which its kind does not have.
    UnknownField,
    /// An object that an API server would refuse for another reason.
    Object,
}

#[derive(Debug)]
struct Mark {
    source: Excerpt,
    location: Location,
}

/// The text around a place, for a report. Of lines that are far too long for a screen only what is near the place.
#[derive(Debug)]
struct Excerpt {
    file: String,
    text: Arc<String>,
}

/// The longest line, in bytes, that is shown whole.
const LONGEST: usize = 400;

/// How many bytes of a longer line are shown on either side of the place.
const AROUND: usize = 60;

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = self.text.read_span(span, before, after)?;
        let lines = || whole.data().split(|byte| *byte == b'\n');
        let (from, line, column) = (whole.span().offset(), whole.line(), whole.column());
        if lines().all(|line| line.len() <= LONGEST) {
            let contents = MietteSpanContents::new_named(
                self.file.clone(),
                whole.data(),
                *whole.span(),
                line,
                column,
                lines().count(),
            );
            return Ok(Box::new(contents));
        }
        let place = span.offset();
        let is_end = |byte: &u8| *byte == b'\n';
        let (left, right) = self.text.as_bytes().split_at(place);
        let start = left.iter().rposition(is_end).map_or(0, |at| at + 1);
        let end = right.iter().position(is_end).map_or(self.text.len(), |at| place + at);
        let begin = boundary(&self.text, place.saturating_sub(AROUND).max(start));
        let end = boundary(&self.text, (place + 2 * AROUND).min(end));
        let line = line + self.text[from..place].matches('\n').count();
        let data = &self.text.as_bytes()[begin..end];
        let shown = (begin, end - begin).into();
        let column = self.text[start..begin].chars().count();
        Ok(Box::new(MietteSpanContents::new_named(self.file.clone(), data, shown, line, column, 1)))
    }
}

/// The next place at or before one that is between characters.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl Fault {
    /// A file that cannot be used at all.
    pub(super) fn file(name: &str, message: String, help: Option<String>) -> Self {
        Self {
            message: format!("{name}: {message}"),
            help,
            file: name.to_owned(),
            mark: None,
            kind: FaultKind::Document,
            parts: Box::new((None, String::new(), message)),
        }
    }

    /// A document or object of a text.
    pub(super) fn manifest(problem: Problem, text: &Arc<String>) -> Self {
        let file = problem.location.file.to_string();
        let source = Excerpt { file: file.clone(), text: text.clone() };
        let mark = Some(Mark { source, location: problem.location.clone() });
        let kind = match &problem.object {
            None => FaultKind::Document,
            Some(_) if problem.is_unknown_field() => FaultKind::UnknownField,
            Some(_) => FaultKind::Object,
        };
        let object = problem.object.as_ref().map(ToString::to_string);
        let parts = (object, problem.path.to_string(), problem.message.clone());
        Self { message: problem.headline(), help: problem.help, file, mark, kind, parts: Box::new(parts) }
    }

    /// An object of a cluster that is not what an API server of today would store.
    pub(crate) fn stored(problem: admission::Problem, cluster: &str) -> Self {
        let admission::Problem { object, path, message, help, .. } = problem;
        Self {
            message: format!("{object}: {path}: {message}"),
            help,
            file: cluster.to_owned(),
            mark: None,
            kind: FaultKind::Object,
            parts: Box::new((Some(object.to_string()), path.to_string(), message)),
        }
    }

    /// An object of a cluster that cannot be read.
    pub(crate) fn unread(object: String, message: String, cluster: &str) -> Self {
        Self {
            message: format!("{object}: {message}"),
            help: None,
            file: cluster.to_owned(),
            mark: None,
            kind: FaultKind::Object,
            parts: Box::new((Some(object), String::new(), message)),
        }
    }

    /// The object if there is one, the path of its field, and what is wrong with it.
    #[must_use]
    pub fn parts(&self) -> (Option<String>, String, String) {
        (*self.parts).clone()
    }

    /// What is at fault.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The file, and the place within it where there is one.
    #[must_use]
    pub fn location(&self) -> (&str, Option<&Location>) {
        (&self.file, self.mark.as_ref().map(|mark| &mark.location))
    }

    /// `file:line:column` if there is a place, else the file.
    #[must_use]
    pub fn place(&self) -> String {
        self.mark.as_ref().map_or_else(|| self.file.clone(), |mark| mark.location.to_string())
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Diagnostic for Fault {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.mark.as_ref().map(|mark| &mark.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Mark { source, location } = self.mark.as_ref()?;
        let span = &location.span;
        let end = boundary(&source.text, span.end.min(span.start + AROUND));
        let length = end.saturating_sub(span.start).max(1);
        let label = LabeledSpan::new(Some("here".to_owned()), span.start, length);
        Some(Box::new(std::iter::once(label)))
    }
}

/// Something that a reader of the answer should know, but that refuses nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Folders within a folder, without `-R`.
    #[error("{}: {folders} {} not read; -R reads folders within folders", .path.display(), if *.folders == 1 { "folder is" } else { "folders are" })]
    FoldersNotRead {
        /// The folder that was read.
        path: PathBuf,
        /// How many were passed over.
        folders: usize,
    },
    /// Links to folders, which are not followed: they may lead in a circle.
    #[error("{}: {links} {} not followed", .path.display(), if *.links == 1 { "link to a folder is" } else { "links to folders are" })]
    LinksNotFollowed {
        /// The folder that was read.
        path: PathBuf,
        /// How many.
        links: usize,
    },
    /// Two objects of one kind and name.
    #[error("{object} is at {first} and at {second}; the later one counts")]
    Duplicate {
        /// Such as `NetworkPolicy prod/db`.
        object: String,
        /// `file:line:column`.
        first: String,
        /// `file:line:column`.
        second: String,
    },
    /// Nothing isolates anything.
    #[error("there is no NetworkPolicy here, so everything is allowed")]
    NoPolicies,
    /// Nothing at all.
    #[error("there is no object here that policy is about")]
    Empty,
}
