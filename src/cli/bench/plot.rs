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
    plot: Option<PathBuf>,
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
