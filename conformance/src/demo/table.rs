//! The matrix as a table: a row for who asks, a column for whom, a mark for each door of it.

use super::{
    matrix::{Answers, Matrix},
    parties::Column,
    screen::{Screen, wrap},
};
use policyctl::style::Tone;

/// What a door says to a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Every probe got through.
    Open,
    /// None did.
    Shut,
    /// Some did: of several pods, or of one family.
    Some,
    /// Nothing to ask.
    Nothing,
}

impl Mark {
    fn of(outcomes: &[bool]) -> Self {
        match (outcomes.iter().any(|o| *o), outcomes.iter().all(|o| *o)) {
            _ if outcomes.is_empty() => Self::Nothing,
            (_, true) => Self::Open,
            (true, false) => Self::Some,
            (false, false) => Self::Shut,
        }
    }

    fn shown(self) -> (char, Tone) {
        match self {
            Self::Open => ('✓', Tone::Good),
            Self::Shut => ('✗', Tone::Bad),
            Self::Some => ('~', Tone::Unsure),
            Self::Nothing => ('·', Tone::Faint),
        }
    }
}

/// Shows the matrix, and what its marks stand for. On a narrow screen columns are missing at the right.
pub(super) fn show(screen: &mut Screen<'_>, matrix: &Matrix, answers: &Answers) {
    let label = matrix.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> =
        matrix.columns.iter().map(|c| c.name.chars().count().max(c.doors.len())).collect();
    let ends = widths.iter().scan(label, |end, width| {
        *end += 1 + width;
        Some(*end)
    });
    let shown = ends.take_while(|end| *end <= screen.width()).count();
    let columns = || matrix.columns.iter().zip(&widths).enumerate().take(shown);

    let head: Vec<_> = columns().map(|(_, (column, width))| format!("{:width$}", column.name)).collect();
    let head = format!("{:label$} {}", "from", head.join(" "));
    let head = screen.paint(Tone::Strong, head.trim_end());
    screen.line(head);
    for (r, row) in matrix.rows.iter().enumerate() {
        let cells = columns().map(|(c, (column, width))| {
            let marks = (0..column.doors.len()).map(|d| {
                let asked = matrix.questions.iter().filter(|question| question.cell == (r, c, d));
                Mark::of(&asked.filter_map(|question| answers.get(question)).collect::<Vec<_>>())
            });
            cell(screen, &marks.collect::<Vec<_>>(), *width)
        });
        let cells = cells.collect::<Vec<_>>().join(" ");
        screen.line(format_args!("{:label$} {}", row.name, cells.trim_end()));
    }
    legend(screen, &matrix.columns[..shown], matrix.columns.len() - shown);
}

fn cell(screen: &Screen<'_>, marks: &[Mark], width: usize) -> String {
    let shown = marks.iter().map(|mark| {
        let (mark, tone) = mark.shown();
        screen.paint(tone, &mark.to_string())
    });
    shown.collect::<String>() + &" ".repeat(width - marks.len())
}

/// Which doors the marks are about.
fn legend(screen: &mut Screen<'_>, columns: &[Column], missing: usize) {
    let meaning = "✓ open, ✗ shut, ~ open to some pods or in one family, · nothing to ask. A mark a door:";
    let doors = columns.iter().enumerate().map(|(c, column)| {
        let doors: Vec<_> = column.doors.iter().map(|door| door.name.as_str()).collect();
        let end = if c + 1 == columns.len() { "." } else { "," };
        format!("{}: {}{end}", column.name, doors.join(" "))
    });
    let mut parts: Vec<String> = meaning.split(' ').map(str::to_owned).chain(doors).collect();
    if missing > 0 {
        parts.push(format!("A wider screen has {missing} more columns."));
    }
    for line in wrap(parts.iter().map(String::as_str), screen.width()) {
        let line = screen.paint(Tone::Faint, &line);
        screen.line(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_whether_all_or_some_or_none_got_through() {
        let marks = [&[true, true][..], &[false, false], &[true, false], &[]].map(Mark::of);
        assert_eq!(marks, [Mark::Open, Mark::Shut, Mark::Some, Mark::Nothing]);
    }
}
