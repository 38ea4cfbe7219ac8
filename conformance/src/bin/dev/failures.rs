//! What a phase has printed of its failed tests, for the end of the run: of a long log, often only the end is kept.

/// Lines that are kept of one failed test, and bytes of a line.
const LINES: usize = 10;
const WIDTH: usize = 300;
/// Failed tests that are kept of a phase.
const TESTS: usize = 20;

/// Failed tests, as the lines of a phase tell of them: blocks that begin with `---- NAME stdout ----` (cargo test, and harnesses that
/// print as it does) or with `  failed: NAME` (our suites, with an indented message below).
#[derive(Debug, Default)]
pub(crate) struct Failures {
    tests: Vec<Vec<String>>,
    /// Which lines belong to the last of them.
    open: Option<Form>,
    /// Tests that there was no room for.
    more: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Block,
    Indented,
}

impl Failures {
    /// Takes a line, with or without its end.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(name) = block(line) {
            self.begin(name, Form::Block);
        } else if let Some(name) = line.strip_prefix("  failed: ") {
            self.begin(name, Form::Indented);
        } else if let Some(form) = self.open {
            let ends = match form {
                Form::Block => line == "failures:" || line.starts_with("test result: "),
                Form::Indented => !line.starts_with("    "),
            };
            if ends {
                self.open = None;
            } else if let Some(test) = self.tests.last_mut()
                && !line.is_empty()
                && test.len() <= LINES
            {
                test.push(cut(line.trim_start()));
            }
        }
    }

    fn begin(&mut self, name: &str, form: Form) {
        if self.tests.len() < TESTS {
            self.tests.push(vec![cut(name)]);
            self.open = Some(form);
        } else {
            (self.open, self.more) = (None, self.more + 1);
        }
    }

    /// Each with its name first, in lines that stand below the phase's.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for test in &self.tests {
            let mut rest = test.iter();
            lines.extend(rest.next().map(|name| format!("       {name}")));
            lines.extend(rest.map(|line| format!("         {line}")));
        }
        if self.more > 0 {
            lines.push(format!("       and {} more", self.more));
        }
        lines
    }
}

/// The name in `---- NAME stdout ----` or `---- NAME ----`.
fn block(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.strip_suffix(" stdout").unwrap_or(name))
}

/// At most so much of it, whole characters.
fn cut(line: &str) -> String {
    if line.len() <= WIDTH {
        return line.to_owned();
    }
    let end = (0..=WIDTH).rev().find(|&end| line.is_char_boundary(end)).unwrap_or_default();
    format!("{}…", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Vec<String> {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.read(line));
        failures.lines().iter().map(|line| line.trim_start().to_owned()).collect()
    }

    #[test]
    fn failed_tests_of_cargo_are_kept_with_what_they_said() {
        let output = "test a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\n\nthread 'b' panicked at src/b.rs:1:2:\nnot so\n\n\n\
            ---- c ----\nlate\n\nfailures:\n    b\n    c\n\ntest result: FAILED. 1 passed; 2 failed\n  more\n";
        assert_eq!(read(output), ["b", "thread 'b' panicked at src/b.rs:1:2:", "not so", "c", "late"]);
    }

    #[test]
    fn failed_tests_of_suites_are_kept_with_their_message() {
        let output = "own, engine palisade\n  1/2 failed 3 s  x: y\n  failed: x: y\n    3 lost\n    the first then\n  own with palisade: of 2\n    no\n";
        assert_eq!(read(output), ["x: y", "3 lost", "the first then"]);
    }

    #[test]
    fn what_passes_leaves_nothing() {
        assert!(read("running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed\n").is_empty());
    }

    #[test]
    fn there_is_an_end_to_everything() {
        let long = "é".repeat(WIDTH);
        let one = format!("---- {long} ----\n{}", "line\n".repeat(3 * LINES));
        let lines = read(&one.repeat(2 * TESTS));
        assert_eq!(lines.len(), TESTS * (1 + LINES) + 1);
        assert!(lines.iter().all(|line| line.len() <= WIDTH + '…'.len_utf8()));
        assert_eq!(lines.last().map(String::as_str), Some("and 20 more"));
    }
}
