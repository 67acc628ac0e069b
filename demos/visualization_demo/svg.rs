//! SVG as text: a few shapes on a card that is readable on light and on dark pages.

use crate::palette::COLOURS;
use cb_lab::RequestId;
use cb_lab::observe::Recording;
use std::fmt::Write;

/// Where plots begin: below title and subtitle, right of the labels of the y axis.
pub const TOP: usize = 66;
pub const LEFT: usize = 112;
/// Around everything.
pub const MARGIN: usize = 20;
/// Of a line of legend.
const LEGEND_LINE: usize = 24;
const NARROWEST: usize = 560;

/// From the left and from the top.
pub type Point = (usize, usize);
/// Width and height.
pub type Size = (usize, usize);
/// Draws a symbol into a box of 22 by 16 there.
pub type Symbol = fn(&mut Svg, Point);

pub struct Svg {
    width: usize,
    height: usize,
    title: String,
    subtitle: String,
    body: String,
}

impl Svg {
    pub fn new(title: &str, subtitle: &str, plot: Size) -> Self {
        let width = (LEFT + plot.0 + MARGIN).max(NARROWEST);
        let mut svg =
            Self { width, height: TOP + plot.1, title: title.into(), subtitle: subtitle.into(), body: String::new() };
        svg.text("title", (MARGIN, 30), title);
        svg.text("muted", (MARGIN, 50), subtitle);
        svg
    }

    pub fn rect(&mut self, class: &str, (x, y): Point, (width, height): Size) {
        self.add(&format!(r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#));
    }

    pub fn round_rect(&mut self, class: &str, (x, y): Point, (width, height): Size) {
        self.add(&format!(r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>"#));
    }

    pub fn line(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        self.add(&format!(r#"<path class="{class}" d="M{x1} {y1}L{x2} {y2}"/>"#));
    }

    /// `d` as SVG writes paths.
    pub fn path(&mut self, class: &str, d: &str) {
        self.add(&format!(r#"<path class="{class}" d="{d}"/>"#));
    }

    pub fn text(&mut self, class: &str, (x, y): Point, text: &str) {
        let text = escape(text);
        self.add(&format!(r#"<text class="{class}" x="{x}" y="{y}">{text}</text>"#));
    }

    /// Numbers steps below a plot that ends at `bottom`, and names the axis.
    pub fn step_axis(&mut self, num_steps: usize, bottom: usize) {
        let step_width = step_width(num_steps);
        let every = [1, 5, 10, 50, 100, 500].into_iter().find(|every| every * step_width >= 60).unwrap_or(1000);
        for nth in (0..num_steps).filter(|nth| *nth == 0 || (nth + 1) % every == 0) {
            let middle = LEFT + nth * step_width + step_width / 2;
            self.text("small muted m", (middle, bottom + 16), &(nth + 1).to_string());
        }
        self.text("muted e", (LEFT - 12, bottom + 16), "step");
        self.height = self.height.max(bottom + 24);
    }

    /// Symbols and what they mean, below all that was drawn.
    pub fn legend(&mut self, entries: &[(Symbol, &str)]) {
        self.height += 12;
        let mut x = MARGIN;
        for (symbol, meaning) in entries {
            // Text is not measured: 12 pixels high, it is at most 7 wide a letter.
            let width = 30 + meaning.chars().count() * 7 + 12;
            if x + width > self.width && x > MARGIN {
                x = MARGIN;
                self.height += LEGEND_LINE;
            }
            symbol(self, (x, self.height));
            self.text("", (x + 30, self.height + 12), meaning);
            x += width;
        }
        self.height += LEGEND_LINE;
    }

    /// The colour of each request with its number, for plots that have no room for numbers.
    pub fn requests(&mut self, ids: impl Iterator<Item = RequestId>) {
        let (first, width) = (MARGIN + 72, 30);
        self.text("", (MARGIN, self.height + 12), "requests");
        let mut x = first;
        for id in ids {
            if x + width > self.width {
                x = first;
                self.height += LEGEND_LINE;
            }
            self.round_rect(&fill(id), (x, self.height), (26, 16));
            self.text(&format!("small bold m {}", ink(id)), (x + 13, self.height + 12), &id.to_string());
            x += width;
        }
        self.height += LEGEND_LINE;
    }

    pub fn finish(self) -> String {
        let Self { width, height, title, subtitle, body } = self;
        let height = height + MARGIN / 2;
        let (title, subtitle) = (escape(&title), escape(&subtitle));
        let mut style = include_str!("picture.css").to_owned();
        for (idx, colour) in COLOURS.iter().enumerate() {
            let (fill, ink) = (colour.fill, colour.ink);
            writeln!(style, ".r{idx} {{ fill: {fill} }} .i{idx} {{ fill: {ink} }} .o{idx} {{ stroke: {fill} }}")
                .expect("a string takes all");
        }
        for (class, dashes) in EDGES.iter().filter(|(class, _)| body.contains(*class)) {
            writeln!(style, ".{class} {{ stroke: #000; stroke-width: 2; stroke-dasharray: {dashes} }}")
                .expect("a string takes all");
        }
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title desc">
<title id="title">{title}</title>
<desc id="desc">{subtitle}</desc>
<style>
{style}</style>
<rect class="card" x="0.5" y="0.5" width="{}" height="{}" rx="8"/>
{body}</svg>
"#,
            width - 1,
            height - 1
        )
    }

    fn add(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

/// The edge of what is filled with a colour that an earlier request has, too: once around the palette, twice.
const EDGES: [(&str, &str); 2] = [("round1", "4 3"), ("round2", "1 2")];

/// The class of what is filled with a request's colour. Where colours come again, the edge tells who it is.
pub fn fill(id: RequestId) -> String {
    let round = id.0 as usize / COLOURS.len() % (EDGES.len() + 1);
    let edge = round.checked_sub(1).map_or(String::new(), |nth| format!(" {}", EDGES[nth].0));
    format!("r{}{edge}", crate::palette::colour_idx(id))
}

/// The class of what is outlined in a request's colour.
pub fn outline(id: RequestId) -> String {
    format!("hollow o{}", crate::palette::colour_idx(id))
}

/// The class of text on a request's colour.
pub fn ink(id: RequestId) -> String {
    format!("i{}", crate::palette::colour_idx(id))
}

/// Pixels of a step: fewer, where there are many.
pub fn step_width(num_steps: usize) -> usize {
    (640 / num_steps.max(1)).clamp(4, 22)
}

/// The limits of a run in a line.
pub fn limits(recording: &Recording) -> String {
    let limits = &recording.run.config;
    format!(
        "Budget: {} tokens a step. Prompts in chunks of {}. Memory: {} blocks of {} tokens.",
        limits.max_tokens_per_step, limits.prefill_chunk_size, limits.num_kv_blocks, limits.block_size
    )
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
