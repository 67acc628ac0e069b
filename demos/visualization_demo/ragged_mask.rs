//! Who attends to whom in one step: what a request has in the cache on the left, the tokens of the step on the right.

use crate::svg::{LEFT, Svg, TOP, fill};
use cb_lab::observe::Step;
use cb_lab::observe::snapshots::{Snapshot, TokenRow};

const CELL: usize = 22;
/// Columns of cached tokens that are drawn. A longer context is cut, and its number says how long it is.
const MOST_CACHED: usize = 20;
/// A step with more rows is not drawn if there is one with fewer.
const MOST_ROWS: usize = 32;
/// Above the first row, for the numbers of the columns.
const HEAD: usize = 38;
/// Between the two parts.
const GAP: usize = 14;
/// Where the cached tokens begin, right of three columns of labels.
const CACHE: usize = LEFT + 62;

/// The step with the most different rows: a decode, a later chunk of a prompt, a fresh prompt, and many tokens.
fn choose<'a, 'b>(snapshots: &'b [Snapshot<'a>]) -> Option<&'b Snapshot<'a>> {
    let variety = |step: &Step| {
        let has = |wanted: fn(usize, usize) -> bool| {
            usize::from(step.rows.iter().any(|row| wanted(row.context_len, row.query_len)))
        };
        let decode = has(|context_len, query_len| context_len > 0 && query_len == 1);
        let chunk = has(|context_len, query_len| context_len > 0 && query_len > 1);
        decode + chunk + has(|context_len, _| context_len == 0)
    };
    let small = |snapshot: &&Snapshot| snapshot.tokens.len() <= MOST_ROWS;
    // Of equals the first.
    let first_best =
        snapshots.iter().filter(small).rev().max_by_key(|snapshot| (variety(snapshot.step), snapshot.tokens.len()));
    first_best.or_else(|| snapshots.iter().min_by_key(|snapshot| snapshot.tokens.len()))
}

/// Nothing if no step was computed.
pub fn draw(snapshots: &[Snapshot]) -> Option<String> {
    let snapshot = choose(snapshots)?;
    let nth = snapshots.iter().position(|other| other.step == snapshot.step)? + 1;
    let (rows, tokens) = (&snapshot.step.rows, &snapshot.tokens);
    let cached = rows.iter().map(|row| row.context_len.min(MOST_CACHED)).max()?;
    let size = tokens.len() * CELL;
    let square = CACHE + cached * CELL + GAP;
    let subtitle = format!(
        "Step {nth}: {} tokens of {} requests, one after the other, without padding.",
        tokens.len(),
        rows.len()
    );
    let plot = (square - LEFT + size, HEAD + size);
    let mut svg = Svg::new("Who attends to whom: the ragged causal mask", &subtitle, plot);
    let top = TOP + HEAD;
    svg.text("muted e", (square - GAP, TOP + 12), "in the cache");
    svg.text("muted", (square, TOP + 12), "tokens of this step");
    svg.text("small muted e", (CACHE - 56, TOP + 28), "position");
    svg.text("small muted e", (CACHE - 16, TOP + 28), "row");
    svg.rect("lane", (square, top), (size, size));
    for row in 0..tokens.len() {
        svg.text("small muted m", (square + row * CELL + CELL / 2, TOP + 28), &row.to_string());
        draw_row(&mut svg, tokens, row, (square, top + row * CELL));
    }
    let mut y = top;
    for row in rows {
        let (columns, height) = (row.context_len.min(MOST_CACHED), row.query_len * CELL);
        if columns > 0 {
            let x = square - GAP - columns * CELL;
            svg.round_rect(&format!("soft {}", fill(row.id)), (x, y + 1), (columns * CELL, height - 2));
            let (middle, what) = (x + columns * CELL / 2, row.context_len.to_string());
            let what = if columns > 4 { format!("{what} in the cache") } else { what };
            svg.text("m", (middle, y + height / 2 + 4), &what);
        }
        svg.text("bold", (20, y + 15), &format!("request {}", row.id));
        y += height;
        svg.line("grid", (20, y), (square + size, y));
    }
    svg.legend(&[
        (|svg, (x, y)| svg.round_rect("r0", (x, y), (18, 16)), "attends to it"),
        (|svg, (x, y)| svg.round_rect("soft r0", (x, y), (18, 16)), "in the cache: seen by all rows"),
        (|svg, (x, y)| svg.rect("lane", (x, y), (18, 16)), "not attended to"),
    ]);
    Some(svg.finish())
}

fn draw_row(svg: &mut Svg, tokens: &[TokenRow], row: usize, (x, y): (usize, usize)) {
    let query = &tokens[row];
    svg.text("small e", (CACHE - 56, y + 15), &query.position.to_string());
    svg.text("small muted e", (CACHE - 16, y + 15), &row.to_string());
    for (column, key) in tokens.iter().enumerate() {
        if query.attends_to(key) {
            svg.round_rect(&fill(query.id), (x + column * CELL + 1, y + 1), (CELL - 2, CELL - 2));
        }
    }
}
