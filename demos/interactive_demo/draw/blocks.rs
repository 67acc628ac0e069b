//! The pool: who holds which block, and how many refer to it.

use super::{Scene, bold, chip, chip_of, dim, panel};
use cb_lab::RequestId;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Columns of a block: its number, its owner, its references.
const WIDTH: usize = 9;

pub fn draw(frame: &mut Frame, scene: &Scene, area: Rect) {
    let num_kv_blocks = scene.app.recording.run.config.num_kv_blocks;
    let owners = scene.snapshot.map(|snapshot| snapshot.owners(num_kv_blocks)).unwrap_or_default();
    let cells: Vec<[Span; 2]> = owners.iter().enumerate().map(|(block, owners)| cell(block, owners)).collect();
    let mut lines: Vec<Line> =
        cells.chunks(usize::from(area.width) / WIDTH).map(|cells| Line::from(cells.concat())).collect();
    lines.push(Line::from(dim(" block, owner×references")));
    let num_held = owners.iter().filter(|owners| !owners.is_empty()).count();
    let title = format!("blocks: {num_held} of {num_kv_blocks} held");
    let first = scene.app.scroll.min(lines.len().saturating_sub(usize::from(area.height) - 1));
    frame.render_widget(Paragraph::new(lines).scroll((first as u16, 0)).block(panel(&title)), area);
}

fn cell(block: usize, owners: &[RequestId]) -> [Span<'static>; 2] {
    let number = Span::raw(format!("{block:3} "));
    match owners {
        [] => [number, dim("  ·  ")],
        [owner, ..] => [number, chip_of(*owner, format!("{:>2}×{} ", owner.0, owners.len()))],
    }
}

/// With the block table of each running request, in logical order.
pub fn draw_with_tables(frame: &mut Frame, scene: &Scene, area: Rect) {
    let Some(snapshot) = scene.snapshot else {
        draw(frame, scene, area);
        return;
    };
    let num_tables = snapshot.tables.len() as u16;
    let [above, below] = Layout::vertical([Constraint::Min(0), Constraint::Length(num_tables + 1)]).areas(area);
    draw(frame, scene, above);
    let tables = snapshot.tables.iter().map(|(&id, blocks)| {
        let mut spans = vec![chip(id, &id.to_string()), Span::raw(" ")];
        let written = |block: u32| snapshot.tokens.iter().any(|token| token.slot as u32 / block_size(scene) == block);
        for block in blocks {
            let number = block.to_string();
            spans.push(Span::raw(" ".repeat(4usize.saturating_sub(number.len()))));
            spans.push(if written(block.0) { bold(&number).underlined() } else { Span::raw(number) });
        }
        Line::from(spans)
    });
    let title = "block tables, in logical order; underlined: written in this step";
    frame.render_widget(Paragraph::new(tables.collect::<Vec<_>>()).block(panel(title)), below);
}

fn block_size(scene: &Scene) -> u32 {
    scene.app.recording.run.config.block_size as u32
}
