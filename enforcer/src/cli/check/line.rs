//! One line of the answer.

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Ok,
    Warn,
    Fail,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// A check with its answer: what is so, and below it what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) mark: Mark,
    pub(super) name: &'static str,
    pub(super) what: String,
    pub(super) help: Option<String>,
}

impl Line {
    pub(super) fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { mark: Mark::Ok, name, what: what.into(), help: None }
    }

    pub(super) fn warn(name: &'static str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { mark: Mark::Warn, name, what: what.into(), help: Some(help.into()) }
    }

    pub(super) fn fail(name: &'static str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { mark: Mark::Fail, name, what: what.into(), help: Some(help.into()) }
    }
}

/// Width of a mark and of a name, with what stands between.
const MARK: usize = 6;
const NAME: usize = 18;

/// Prints them and how many there are of each; `false` if one has failed.
pub(super) fn print(lines: &[Line]) -> bool {
    for line in lines {
        println!("{:MARK$}{:NAME$}{}", line.mark.word(), line.name, line.what);
        if let Some(help) = &line.help {
            println!("{:1$}{help}", "", MARK + NAME);
        }
    }
    println!("{}", summary(lines));
    lines.iter().all(|line| line.mark != Mark::Fail)
}

fn summary(lines: &[Line]) -> String {
    let count = |mark| lines.iter().filter(|line| line.mark == mark).count();
    let (warnings, failed) = (count(Mark::Warn), count(Mark::Fail));
    let plural = if warnings == 1 { "" } else { "s" };
    format!("{} checks: {} ok, {warnings} warning{plural}, {failed} failed", lines.len(), count(Mark::Ok))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let lines = [Line::ok("a", ""), Line::ok("b", ""), Line::warn("c", "", ""), Line::fail("d", "", "")];
        assert_eq!(summary(&lines), "4 checks: 2 ok, 1 warning, 1 failed");
        assert_eq!(summary(&lines[..2]), "2 checks: 2 ok, 0 warnings, 0 failed");
    }
}
