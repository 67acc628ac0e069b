//! The requests, and the knobs beside them.

use super::{Scene, bold, chip, dim, panel};
use crate::knobs::Knob;
use crate::standing::{Stand, Standing};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub fn draw(frame: &mut Frame, scene: &Scene, area: Rect) {
    let mut lines = vec![Line::from(dim("            cached  computes   text so far"))];
    // The selected one is always in sight.
    let room = usize::from(area.height).saturating_sub(2);
    let selected = scene.app.selected.0 as usize;
    let first = (selected + 1).saturating_sub(room);
    let shown = scene.stands.iter().skip(first).take(room);
    lines.extend(shown.map(|stand| line(stand, stand.request.id == scene.app.selected, usize::from(area.width))));
    let title = match scene.stands.len() {
        all if all > room => format!("requests {first} to {} of {all}", (first + room).min(all) - 1),
        _ => "requests".into(),
    };
    frame.render_widget(Paragraph::new(lines).block(panel(&title)), area);
}

fn line(stand: &Stand, is_selected: bool, width: usize) -> Line<'static> {
    let standing = match stand.standing {
        Standing::NotYet(_) => "to come",
        Standing::Waiting => "waits",
        Standing::Running => "runs",
        Standing::Ended(..) => "ended",
    };
    let cached = stand.cached.map_or("–".into(), |cached| cached.to_string());
    let facts = format!(" {standing:7} {cached:>5}  {:9} ", stand.computes);
    let room = width.saturating_sub(facts.chars().count() + 6);
    let text = stand.text.replace('\n', "↵");
    // The end is what is new.
    let hidden = text.chars().count().saturating_sub(room);
    let text = if hidden == 0 { text } else { format!("…{}", text.chars().skip(hidden + 1).collect::<String>()) };
    Line::from(vec![
        if is_selected { bold("▸") } else { Span::raw(" ") },
        chip(stand.request.id, &stand.request.id.to_string()),
        if is_selected { bold(&facts) } else { Span::raw(facts) },
        Span::raw(text),
    ])
}

pub fn draw_knobs(frame: &mut Frame, scene: &Scene, area: Rect) {
    let line = |knob: Knob| {
        let text = format!("{:22}{:4}", knob.name(), knob.value(&scene.app.plan));
        let is_selected = knob == scene.app.knob;
        Line::from(if is_selected { vec![bold("▸"), bold(&text)] } else { vec![Span::raw(" "), Span::raw(text)] })
    };
    let lines: Vec<Line> = Knob::ALL.map(line).into();
    frame.render_widget(Paragraph::new(lines).block(panel("knobs")), area);
}
