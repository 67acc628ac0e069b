//! Requests over steps, as far as the screen is wide.

use super::{Scene, chip, colour, dim, panel};
use cb_lab::RequestId;
use cb_lab::observe::snapshots::{Snapshot, TokenKind};
use cb_lab::observe::views::{Cell, timeline};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Columns of a step: the smaller, unless all steps fit with the larger.
const WIDTHS: (usize, usize) = (2, 4);
/// Before the first step.
const LABEL: usize = 4;

pub fn draw(frame: &mut Frame, scene: &Scene, snapshots: &[Snapshot], area: Rect) {
    let columns = usize::from(area.width) - LABEL;
    let width = if snapshots.len() * WIDTHS.1 <= columns { WIDTHS.1 } else { WIDTHS.0 };
    let room = columns / width;
    // The shown step is always in sight.
    let first = scene.app.step.saturating_sub(room);
    let steps = first..snapshots.len().min(first + room);
    let number = |nth: usize| {
        let number = if nth == 0 || (nth + 1).is_multiple_of(5) { (nth + 1).to_string() } else { String::new() };
        format!("{number:>width$}")
    };
    let ruler: String = steps.clone().map(number).collect();
    let marker = format!("{}{:>width$}", " ".repeat(LABEL + width * scene.app.step.saturating_sub(first + 1)), "▾");
    let mut lines = vec![Line::from(marker), Line::from(dim(&format!("{:LABEL$}{ruler}", "")))];
    for lane in timeline(&scene.app.recording) {
        let id = lane.request.id;
        let mut spans = vec![chip(id, &format!("{:<2}", id.0))];
        spans.extend(steps.clone().map(|nth| {
            let is_now = nth + 1 == scene.app.step;
            let span = cell(id, lane.cells.get(nth).copied(), &snapshots[nth], width);
            if is_now { span.add_modifier(Modifier::REVERSED) } else { span }
        }));
        lines.push(Line::from(spans));
    }
    lines.push(Line::from(""));
    lines.push(Line::from(dim("4 prompt tokens   ━ decodes   :4 computed again   · waits   × preempted")));
    let most = lines.len().saturating_sub(usize::from(area.height) - 1);
    let paragraph = Paragraph::new(lines).scroll((scene.app.scroll.min(most) as u16, 0));
    frame.render_widget(paragraph.block(panel("timeline: a column a step")), area);
}

fn cell(id: RequestId, cell: Option<Cell>, snapshot: &Snapshot, width: usize) -> Span<'static> {
    let is_again = || snapshot.tokens.iter().any(|token| token.id == id && token.kind == TokenKind::Recomputed);
    let text = match cell {
        None | Some(Cell::NotYet | Cell::Finished) => return Span::raw(" ".repeat(width)),
        Some(Cell::Waiting) => return dim(&format!("{:>width$}", "·")),
        Some(Cell::Preempted) => return Span::raw(format!("{:>width$}", "×")),
        Some(Cell::Idle) => return dim(&format!("{:>width$}", "–")),
        Some(Cell::Decode) => "━".repeat(width),
        Some(Cell::Prefill(query_len @ 0..=9)) if is_again() => format!(":{query_len}"),
        Some(Cell::Prefill(query_len @ ..=99)) => format!("{query_len:2}"),
        Some(Cell::Prefill(_)) => "##".into(),
    };
    Span::styled(format!("{text:>width$}"), Style::new().fg(colour(id)).add_modifier(Modifier::BOLD))
}
