//! What a bench found as a picture: panels side by side, in each a few lines.

use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::{Path, PathBuf};

/// The option of every bench that can draw.
#[derive(clap::Args)]
pub struct PlotArgs {
    /// Also draw the results into this file
    #[arg(long, value_name = "FILE.svg")]
    pub(super) plot: Option<PathBuf>,
}

/// Lines with common axes.
pub struct Panel {
    /// Above it.
    pub title: String,
    /// Below the x axis.
    pub x: &'static str,
    /// Beside the y axis, which begins at 0.
    pub y: &'static str,
    /// Whether places on the x axis are powers of two, `x` their exponents.
    pub x_is_log2: bool,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    /// In the legend.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// What the line is to be held against: drawn dashed from side to side, in its colour.
    pub level: Option<f64>,
}

/// In pixels.
const PANEL: (u32, u32) = (470, 300);
const HEADER: u32 = 64;
/// Dark enough on white, and told apart by those who do not see red and green (Okabe and Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 94, 240),
    RGBColor(90, 90, 90),
];
const INK: RGBColor = RGBColor(36, 41, 47);
const MUTED: RGBColor = RGBColor(101, 109, 118);
const GRID: RGBColor = RGBColor(225, 228, 232);
const FONT: &str = "sans-serif";

impl PlotArgs {
    /// Draws the panels, if a picture is wanted.
    ///
    /// # Errors
    /// [`Error::WriteFile`] if it cannot be written.
    pub fn draw(&self, title: &str, subtitle: &str, panels: &[Panel]) -> Result<()> {
        let Some(path) = &self.plot else { return Ok(()) };
        let picture = picture(title, subtitle, panels).map_err(|error| cannot_write(path, error))?;
        std::fs::write(path, picture).map_err(|source| Error::WriteFile { path: path.clone(), source })
    }
}

fn cannot_write(path: &Path, error: Box<dyn std::error::Error>) -> Error {
    Error::WriteFile { path: path.to_owned(), source: std::io::Error::other(error.to_string()) }
}

/// The picture as SVG, on a white card: it can be read on a dark page, too.
fn picture(title: &str, subtitle: &str, panels: &[Panel]) -> Result<String, Box<dyn std::error::Error>> {
    let columns = if panels.len() > 1 { 2 } else { 1 };
    let rows = panels.len().div_ceil(columns);
    let size = (PANEL.0 * columns as u32, HEADER + PANEL.1 * rows as u32);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (header, body) = root.split_vertically(HEADER);
        header.draw(&Text::new(title.to_owned(), (18, 14), (FONT, 24).into_font().color(&INK)))?;
        header.draw(&Text::new(subtitle.to_owned(), (18, 40), (FONT, 16).into_font().color(&MUTED)))?;
        for (panel, area) in panels.iter().zip(body.split_evenly((rows, columns))) {
            draw_panel(panel, &area)?;
        }
        root.present()?;
    }
    Ok(text)
}

fn draw_panel(panel: &Panel, area: &DrawingArea<SVGBackend, Shift>) -> Result<(), Box<dyn std::error::Error>> {
    let points = || panel.lines.iter().flat_map(|line| line.points.iter().copied());
    let left = points().map(|(x, _)| x).fold(f64::INFINITY, f64::min);
    let right = points().map(|(x, _)| x).fold(left + 1.0, f64::max);
    let levels = panel.lines.iter().filter_map(|line| line.level);
    // Room for the legend above the lines.
    let top = 1.45 * points().map(|(_, y)| y).chain(levels).fold(f64::MIN_POSITIVE, f64::max);

    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, (FONT, 18).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(40)
        .y_label_area_size(62)
        .build_cartesian_2d(left..right, 0.0..top)?;
    let x_label = |x: &f64| if panel.x_is_log2 { format!("{}", x.exp2().round()) } else { format!("{x}") };
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(panel.y)
        .x_labels(if panel.x_is_log2 { (right - left) as usize + 1 } else { 6 })
        .x_label_formatter(&x_label)
        .y_labels(6)
        .y_label_formatter(&|y| y.to_string())
        .axis_style(MUTED)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 15).into_font().color(&MUTED))
        .axis_desc_style((FONT, 16).into_font().color(&INK))
        .draw()?;
    for (line, colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        if let Some(level) = line.level {
            let ends = [(left, level), (right, level)];
            chart.draw_series(DashedLineSeries::new(ends, 6, 5, colour.stroke_width(1)))?;
        }
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))?
            .label(&line.name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        if line.points.len() <= 20 {
            chart.draw_series(line.points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(GRID)
        .label_font((FONT, 15).into_font().color(&INK))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tag of a kind as what its attributes say, in the order of the picture.
    fn tags<'a>(svg: &'a str, tag: &str, attributes: &[&str]) -> Vec<Vec<&'a str>> {
        let value = |text: &'a str, name: &&str| text.split_once(&format!(" {name}=\""))?.1.split('"').next();
        let of_tag = |text: &'a str| attributes.iter().filter_map(|name| value(text, name)).collect();
        svg.split(&format!("<{tag}")).skip(1).map(|text| of_tag(text.split('>').next().unwrap_or(text))).collect()
    }

    #[test]
    fn lines_points_and_levels_are_where_they_belong() {
        let line = |name: &str, ys: [f64; 3], level| {
            let points = ys.into_iter().enumerate().map(|(x, y)| (3.0 + x as f64, y)).collect();
            Line { name: name.into(), points, level }
        };
        // A level above all points has its place, too.
        let lines = vec![line("first", [1.0, 3.0, 2.0], Some(5.0)), line("second", [2.0, 2.0, 1.0], None)];
        let panel = Panel { title: "a title".into(), x: "across", y: "upwards", x_is_log2: true, lines };
        let svg = picture("a picture", "of nothing", &[panel]).unwrap();
        let text: Vec<&str> = svg.split("</text>").filter_map(|text| text.rsplit('>').next()).map(str::trim).collect();
        for label in ["a picture", "of nothing", "a title", "across", "upwards", "first", "second", "8", "16", "32"] {
            assert!(text.contains(&label), "{label}: {text:?}");
        }

        let circles = tags(&svg, "circle", &["cx", "cy"]);
        let [a, b, c, d, e, f] = &circles[..] else { panic!("{circles:?}") };
        let number = |text: &str| text.parse::<f64>().unwrap();
        assert!([a, b, c].map(|point| point[0]) == [d, e, f].map(|point| point[0]) && number(a[0]) < number(b[0]));
        assert_eq!([d[1], e[1], f[1]], [c[1], c[1], a[1]]);
        // From 1 to 3 as far as twice from 1 to 2, but for whole pixels; 5 is as far above 3.
        let unit = number(a[1]) - number(c[1]);
        assert!(unit > 10.0 && (number(a[1]) - number(b[1]) - 2.0 * unit).abs() <= 2.0, "{circles:?}");

        let strokes = tags(&svg, "polyline", &["points", "stroke"]);
        let ways: Vec<String> =
            [[a, b, c], [d, e, f]].map(|points| points.map(|point| point.join(",")).join(" ")).to_vec();
        let mut colours =
            ways.iter().map(|way| strokes.iter().find(|stroke| stroke[0].trim() == way).map(|stroke| stroke[1]));
        let [Some(first), Some(second)] = [colours.next().flatten(), colours.next().flatten()] else {
            panic!("{ways:?}: {strokes:?}")
        };
        assert_ne!(first, second);
        let level = number(b[1]) - (number(a[1]) - number(b[1]));
        let at_level = |place: &str| place.split_once(',').is_some_and(|(_, y)| (number(y) - level).abs() <= 3.0);
        let dashes = strokes.iter().filter(|stroke| stroke[1] == first && stroke[0].split_whitespace().all(at_level));
        assert!(dashes.count() > 10, "{strokes:?}");
    }
}
