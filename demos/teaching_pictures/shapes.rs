//! Shapes that several pictures share.

use crate::svg::{Point, Size, Svg, fill, ink};
use cb_lab::RequestId;

/// A labelled box in a request's colour.
pub fn cell(svg: &mut Svg, id: u64, at: Point, size: Size, label: &str) {
    let id = RequestId(id);
    svg.round_rect(&fill(id), at, (size.0 - 2, size.1 - 2));
    let middle = (at.0 + size.0 / 2 - 1, at.1 + size.1 / 2 + 3);
    svg.text(&format!("small bold m {}", ink(id)), middle, label);
}

/// A labelled box that belongs to nobody.
pub fn empty(svg: &mut Svg, at: Point, size: Size, label: &str) {
    svg.round_rect("lane", at, (size.0 - 2, size.1 - 2));
    svg.text("small muted m", (at.0 + size.0 / 2 - 1, at.1 + size.1 / 2 + 3), label);
}

/// A line that ends in a head.
pub fn arrow(svg: &mut Svg, from: Point, to: Point) {
    svg.line("mark", from, to);
    let (x, y) = (to.0 as f32, to.1 as f32);
    let (dx, dy) = (x - from.0 as f32, y - from.1 as f32);
    let len = dx.hypot(dy).max(1.0);
    let (dx, dy) = (dx / len, dy / len);
    let barb = |side: f32| (x - 8.0 * dx - 4.0 * side * dy, y - 8.0 * dy + 4.0 * side * dx);
    let (left, right) = (barb(1.0), barb(-1.0));
    svg.path("mark", &format!("M{:.0} {:.0}L{} {}L{:.0} {:.0}", left.0, left.1, to.0, to.1, right.0, right.1));
}
