//! Who holds which KV block, over steps.

use crate::svg::{LEFT, Point, Size, Svg, TOP, fill, ink, limits, step_width};
use cb_lab::RequestId;
use cb_lab::observe::Recording;
use cb_lab::observe::snapshots::Snapshot;

/// Pixels of a block, and of one among many.
const HIGHEST: usize = 20;
const LOWEST: usize = 6;
/// Of all blocks, unless they are too many.
const HEIGHT: usize = 480;

/// Pixels of a piece that has room for the number of its request.
const FOR_A_NUMBER: usize = 14;

/// The owners of a block, over steps.
type Row = Vec<Vec<RequestId>>;

pub fn draw(recording: &Recording, snapshots: &[Snapshot]) -> String {
    let width = step_width(snapshots.len());
    let rows = rows(recording, snapshots);
    let block = (HEIGHT / rows.len().max(1)).clamp(LOWEST, HIGHEST);
    let label_every = HIGHEST.div_ceil(block);
    let height = rows.len() * block;
    let mut svg = Svg::new("Who holds which block", &limits(recording), (snapshots.len() * width, height));
    for (nth, (id, row)) in rows.iter().enumerate() {
        let y = TOP + nth * block;
        svg.rect("lane", (LEFT, y + 1), (snapshots.len() * width, block - 2));
        if nth % label_every == 0 {
            svg.text("e", (LEFT - 12, y + block / 2 + 4), &format!("block {id}"));
        }
        draw_row(&mut svg, row, y, (width, block));
    }
    svg.step_axis(snapshots.len(), TOP + height);
    svg.legend(&[
        (|svg, at| span(svg, &[RequestId(0)], at, (22, 18)), "held by request 0"),
        (|svg, (x, y)| svg.rect("lane", (x, y), (22, 18)), "free"),
    ]);
    if block - 2 < FOR_A_NUMBER {
        svg.requests(recording.requests().map(|request| request.id));
    }
    svg.finish()
}

/// Blocks that are held at some time; of a large pool most are not.
fn rows(recording: &Recording, snapshots: &[Snapshot]) -> Vec<(usize, Row)> {
    let num_kv_blocks = recording.run.config.num_kv_blocks;
    let mut rows = vec![Row::new(); num_kv_blocks];
    for snapshot in snapshots {
        for (row, owners) in rows.iter_mut().zip(snapshot.owners(num_kv_blocks)) {
            row.push(owners);
        }
    }
    rows.into_iter().enumerate().filter(|(_, row)| row.iter().any(|owners| !owners.is_empty())).collect()
}

/// Steps with the same owners, one after the other, are one piece.
fn draw_row(svg: &mut Svg, row: &Row, y: usize, (step_width, block): Size) {
    let mut first = 0;
    for same in row.chunk_by(|a, b| a == b) {
        if !same[0].is_empty() {
            span(svg, &same[0], (LEFT + first * step_width, y + 1), (same.len() * step_width, block - 2));
        }
        first += same.len();
    }
}

fn span(svg: &mut Svg, owners: &[RequestId], (x, y): Point, (width, height): Size) {
    let height = height / owners.len().max(1);
    for (nth, &id) in owners.iter().enumerate() {
        svg.round_rect(&fill(id), (x + 1, y + nth * height), (width - 2, height));
        if height >= FOR_A_NUMBER && width >= 16 {
            svg.text(&format!("small bold {}", ink(id)), (x + 7, y + 13), &id.to_string());
        }
    }
}
