//! Figures that grow with something, as pictures.

use plotters::{
    coord::ranged1d::{KeyPointHint, Ranged},
    prelude::*,
};
use std::{collections::BTreeMap, fmt::Write, ops::Range};

/// A line `plot: title | x axis | y axis | series | x | y`; both axes are logarithmic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    title: String,
    axes: [String; 2],
    series: String,
    at: (f64, f64),
}

impl Point {
    /// Reads such a line; `None` if it is another, or has no place between logarithmic axes.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("plot: ")?.split(" | ").map(|part| part.trim().to_owned());
        let mut text = || parts.next();
        let (title, axes, series) = (text()?, [text()?, text()?], text()?);
        let mut number = || text()?.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        Some(Self { title, axes, series, at: (number()?, number()?) })
    }
}

/// A picture with the name of its file.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) file: String,
    pub(super) svg: String,
}

/// The pictures of these points, one for each title, in the order in which they come.
pub(super) fn plots(points: &[Point]) -> Vec<Plot> {
    let mut titles: Vec<&str> = Vec::new();
    for point in points {
        if !titles.contains(&&*point.title) {
            titles.push(&point.title);
        }
    }
    let plot = |title: &str| {
        let own: Vec<&Point> = points.iter().filter(|point| point.title == title).collect();
        let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = title.chars().map(word).collect();
        let name: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
        Plot { title: title.to_owned(), file: format!("{}.svg", name.join("-")), svg: draw(title, &own) }
    };
    titles.into_iter().map(plot).collect()
}

const SIZE: (u32, u32) = (820, 460);

/// Drawing into a string fails only if a font must be looked for, which SVG has no need of.
fn draw(title: &str, points: &[&Point]) -> String {
    let mut svg = String::new();
    if let Err(error) = try_draw(title, points, &mut svg) {
        let _ = write!(svg, "<!-- {error} -->");
    }
    svg
}

type DrawError = Box<dyn std::error::Error + Send + Sync>;

fn try_draw(title: &str, points: &[&Point], svg: &mut String) -> Result<(), DrawError> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let decades = |of: fn(&Point) -> f64| {
        let least = points.iter().map(|point| of(point)).fold(f64::INFINITY, f64::min);
        let most = points.iter().map(|point| of(point)).fold(0.0, f64::max);
        Decades(
            10_f64.powf(least.log10().floor())
                ..10_f64.powf(most.log10().ceil().max(least.log10().floor() + 1.0)),
        )
    };
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(decades(|point| point.at.0), decades(|point| point.at.1))?;
    let [x, y] = points.first().map(|point| point.axes.clone()).unwrap_or_default();
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let mut series: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for point in points {
        series.entry(&point.series).or_default().push(point.at);
    }
    for (index, (name, line)) in series.into_iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .draw()?;
    area.present()?;
    Ok(())
}

/// `0.1`, `1000`, `1e6`: what stands at a decade.
fn number(value: f64) -> String {
    if (0.001..1e6).contains(&value) {
        format!("{}", (value * 1e6).round() / 1e6)
    } else {
        format!("{value:e}")
    }
}

/// A logarithmic axis from decade to decade, with a mark at each and none between.
struct Decades(Range<f64>);

impl Ranged for Decades {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let [low, high, value] = [self.0.start, self.0.end, *value].map(f64::log10);
        from + ((value - low) / (high - low) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let [low, high] = [self.0.start, self.0.end].map(|end| end.log10().round() as i32);
        (low..=high).map(|power| 10_f64.powi(power)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.0.clone()
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Decades {
    fn format_ext(&self, value: &f64) -> String {
        number(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_and_no_other_line() {
        let point = Point::read("plot: How it grows | pods | ms | matrix | 1000 | 2.5\n").expect("it is one");
        assert_eq!(
            (point.title.as_str(), point.series.as_str(), point.at),
            ("How it grows", "matrix", (1e3, 2.5))
        );
        for line in
            ["How it grows", "plot: a | b | c | d | 1 | x", "plot: a | b | c | d | 0 | 1", "plot: a | b"]
        {
            assert_eq!(Point::read(line), None, "{line}");
        }
    }

    #[test]
    fn every_title_is_a_picture_with_its_series() {
        let line =
            |title, series, x| Point::read(&format!("plot: {title} | pods | ms | {series} | {x} | {x}"));
        let points = [
            line("B, or A", "one", 1),
            line("B, or A", "one", 1000),
            line("A", "two", 5),
            line("B, or A", "three", 3),
        ];
        let points: Vec<Point> = points.into_iter().flatten().collect();
        let plots = plots(&points);
        assert_eq!(plots.iter().map(|plot| plot.file.as_str()).collect::<Vec<_>>(), ["b-or-a.svg", "a.svg"]);
        for word in ["<svg", "one", "three", "1000", "</svg>"] {
            assert!(plots[0].svg.contains(word), "{word}: {}", plots[0].svg);
        }
        assert!(!plots[0].svg.contains("two"));
    }
}
