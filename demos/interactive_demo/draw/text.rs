//! What happened in the step, in sentences; and the keys.

use super::{Scene, chip, dim, panel};
use crate::keys;
use crate::sentences::{between_steps, in_step};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

pub fn draw_happened(frame: &mut Frame, scene: &Scene, area: Rect) {
    let mut between = between_steps(&scene.app.recording);
    let before = if scene.app.step > 0 { std::mem::take(&mut between[scene.app.step - 1]) } else { Vec::new() };
    let after = std::mem::take(&mut between[scene.app.step]);
    let during = scene.snapshot.map(in_step).unwrap_or_default();
    let mut lines = Vec::new();
    for (title, sentences) in [("before it", before), ("in it", during), ("after it", after)] {
        if !sentences.is_empty() {
            lines.push(Line::from(dim(title)));
        }
        lines.extend(sentences.into_iter().map(|sentence| {
            Line::from(vec![chip(sentence.id, &sentence.id.to_string()), Span::raw(format!(" {}", sentence.text))])
        }));
    }
    let first = scene.app.scroll.min(lines.len().saturating_sub(1));
    let paragraph = Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((first as u16, 0));
    frame.render_widget(paragraph.block(panel("what happened around this step, and why")), area);
}

pub fn draw_help(frame: &mut Frame, scene: &Scene, area: Rect) {
    let column = |keys: &[(&[&str], keys::Command, &str)]| {
        let line = |(names, _, what): &(&[&str], keys::Command, &str)| format!("{:>12}  {what}", names.join(", "));
        keys.iter().map(line).collect::<Vec<_>>()
    };
    let mut lines: Vec<Line> = column(&keys::KEYS).into_iter().map(Line::from).collect();
    lines.push(Line::from(""));
    lines.push(Line::from(dim(&format!("{:>12}  {}", "runs on", scene.app.recording.run.backend))));
    let most = lines.len().saturating_sub(usize::from(area.height) - 1);
    let title = if scene.app.scroll < most {
        "keys: ? or esc goes back, page down shows more"
    } else {
        "keys: ? or esc goes back"
    };
    let paragraph = Paragraph::new(lines).scroll((scene.app.scroll.min(most) as u16, 0));
    frame.render_widget(paragraph.block(panel(title)), area);
}
