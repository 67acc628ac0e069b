//! The token table of the step, and the ragged mask beside it.

use super::{Scene, chip_of, colour, dim, panel};
use cb_lab::observe::snapshots::TokenRow;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub fn draw(frame: &mut Frame, scene: &Scene, area: Rect) {
    let Some(snapshot) = scene.snapshot else {
        frame.render_widget(Paragraph::new("no step was computed").block(panel("tokens")), area);
        return;
    };
    let tokens = &snapshot.tokens;
    let room = usize::from(area.height).saturating_sub(2);
    let first = scene.app.scroll.min(tokens.len().saturating_sub(room));
    let numbers: String = (0..tokens.len()).map(|row| format!("{:2}", row % 10)).collect();
    let mut lines = vec![Line::from(dim(&format!("row req  pos  slot  cached {numbers}")))];
    for (row, token) in tokens.iter().enumerate().skip(first).take(room) {
        let cached = snapshot.step.rows.iter().find(|row| row.id == token.id).map_or(0, |row| row.context_len);
        let mut spans = vec![
            Span::raw(format!("{row:3} ")),
            chip_of(token.id, format!("{:^3}", token.id.to_string())),
            Span::raw(format!(" {:4} {:5} {cached:7} ", token.position, token.slot)),
        ];
        spans.extend(tokens.iter().map(|key| cell(token, key)));
        lines.push(Line::from(spans));
    }
    let title = match tokens.len() {
        all if all > room => format!("tokens {first} to {} of {all}: page up, page down", first + room - 1),
        _ => "tokens, and the ones of this step they attend to".into(),
    };
    frame.render_widget(Paragraph::new(lines).block(panel(&title)), area);
}

fn cell(query: &TokenRow, key: &TokenRow) -> Span<'static> {
    match query.attends_to(key) {
        true => Span::styled(" ■", Style::new().fg(colour(query.id))),
        false => dim(" ·"),
    }
}
