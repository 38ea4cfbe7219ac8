//! What is wrong in the folder, as the person who wrote the file should see it.

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use policy_model::manifest::{Location, Problem};
use std::{fmt, path::Path, sync::Arc};

/// Something in the folder that is not used, and why. With `miette` it shows the line and marks the place.
#[derive(Clone, Debug)]
pub struct Fault {
    headline: String,
    help: Option<String>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// A file as a whole.
    File(String),
    /// Places in a text: the first is the one at fault, each with a word about it.
    Text { source: NamedSource<Arc<str>>, location: Location, labels: Vec<(Option<String>, Location)> },
}

impl Fault {
    /// A file that cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, reason: &impl fmt::Display) -> Self {
        Self {
            headline: format!("{}: cannot be read: {reason}", path.display()),
            help: Some("nothing of this file has been taken in; what it said before stays in force".into()),
            place: Place::File(path.display().to_string()),
        }
    }

    /// A problem that the parser has found in this text.
    #[must_use]
    pub fn problem(problem: &Problem, text: Arc<str>) -> Self {
        Self {
            headline: problem.headline(),
            help: problem.help.clone(),
            place: Place::Text {
                source: named(&problem.location, text),
                location: problem.location.clone(),
                labels: vec![(None, problem.location.clone())],
            },
        }
    }

    /// An object that is there twice; `first` holds.
    #[must_use]
    pub fn duplicate(object: &str, first: &Location, second: &Location, text: Arc<str>) -> Self {
        let mut labels = vec![(Some("not used".into()), second.clone())];
        if first.file == second.file {
            labels.push((Some("this one holds".into()), first.clone()));
        }
        Self {
            headline: format!("{object} is there twice: {first} holds, {second} is not used"),
            help: Some("remove one of the two, or give one another name".into()),
            place: Place::Text { source: named(second, text), location: second.clone(), labels },
        }
    }

    /// Where, as `file:line:column` or the file alone.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.place {
            Place::File(file) => file.clone(),
            Place::Text { location, .. } => location.to_string(),
        }
    }

    /// What a log line says of it.
    #[must_use]
    pub fn line(&self) -> String {
        match &self.place {
            Place::File(_) => self.headline.clone(),
            Place::Text { location, .. } => format!("{location}: {}", self.headline),
        }
    }
}

fn named(location: &Location, text: Arc<str>) -> NamedSource<Arc<str>> {
    NamedSource::new(&*location.file, text)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)
    }
}

impl std::error::Error for Fault {}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match &self.place {
            Place::File(_) => None,
            Place::Text { source, .. } => Some(source),
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Place::Text { labels, .. } = &self.place else { return None };
        let span = |(word, location): &(Option<String>, Location)| {
            LabeledSpan::new(word.clone(), location.span.start, location.span.len())
        };
        Some(Box::new(labels.iter().map(span)))
    }
}
