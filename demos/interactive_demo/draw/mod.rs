//! The screen: what is always there, and around it the view that was chosen.

mod blocks;
mod requests;
mod text;
mod timeline;
mod tokens;

use crate::app::{App, View};
use crate::knobs::Knob;
use crate::palette::{COLOURS, colour_idx};
use crate::standing::{Stand, Standing, stands};
use cb_lab::RequestId;
use cb_lab::observe::snapshots::{Snapshot, snapshots};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

/// What all views fit into.
const SMALLEST: (u16, u16) = (80, 24);

/// What is drawn: the shown step, worked out once.
struct Scene<'a> {
    app: &'a App<'a>,
    snapshot: Option<&'a Snapshot<'a>>,
    stands: Vec<Stand>,
}

pub fn draw(frame: &mut Frame, app: &App) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let wish = format!("This needs {} columns and {} lines.", SMALLEST.0, SMALLEST.1);
        frame.render_widget(Paragraph::new(wish).wrap(Wrap { trim: true }), area);
        return;
    }
    let all = snapshots(&app.recording);
    let snapshot = app.step.checked_sub(1).and_then(|nth| all.get(nth));
    let stands = stands(&app.recording, snapshot, app.step);
    let scene = Scene { app, snapshot, stands };
    // A border, two lines, more for a message that the border has no room for, and the keys.
    let foot_height = 4 + if note_fits(app, area.width) { 0 } else { num_lines(&app.message, area.width) };
    let [head, middle, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(0), Constraint::Length(foot_height)]).areas(area);
    draw_head(frame, &scene, head);
    match app.view {
        View::Overview => draw_overview(frame, &scene, middle),
        View::Tokens => tokens::draw(frame, &scene, middle),
        View::Blocks => blocks::draw_with_tables(frame, &scene, middle),
        View::Timeline => draw_timeline(frame, &scene, &all, middle),
        View::Happened => text::draw_happened(frame, &scene, middle),
        View::Help => text::draw_help(frame, &scene, middle),
    }
    draw_foot(frame, &scene, foot);
}

fn draw_overview(frame: &mut Frame, scene: &Scene, area: Rect) {
    // Where there is room: all requests, and what happened, too.
    let num_lines = (scene.stands.len() as u16 + 2).min(area.height / 3).max(Knob::ALL.len() as u16 + 1);
    let happened = if area.height < 30 { 0 } else { area.height / 3 };
    let heights = [Constraint::Length(num_lines), Constraint::Min(0), Constraint::Length(happened)];
    let [above, below, bottom] = Layout::vertical(heights).areas(area);
    text::draw_happened(frame, scene, bottom);
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(28)]).areas(above);
    requests::draw(frame, scene, left);
    requests::draw_knobs(frame, scene, right);
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(28)]).areas(below);
    tokens::draw(frame, scene, left);
    blocks::draw(frame, scene, right);
}

/// Where a large screen has room below the lanes: what happened, too.
fn draw_timeline(frame: &mut Frame, scene: &Scene, all: &[Snapshot], area: Rect) {
    let lanes = scene.stands.len() as u16 + 6;
    let room = area.height.saturating_sub(lanes);
    let happened = if room < 8 { 0 } else { room };
    let [above, below] = Layout::vertical([Constraint::Min(0), Constraint::Length(happened)]).areas(area);
    timeline::draw(frame, scene, all, above);
    text::draw_happened(frame, scene, below);
}

/// The step and the views, the queues, the budget.
fn draw_head(frame: &mut Frame, scene: &Scene, area: Rect) {
    let mut title = vec![bold(&format!("step {} of {}", scene.app.step, scene.app.num_steps())), Span::raw("   ")];
    for (number, view) in (1..).zip(View::ALL) {
        let name = if view == View::Help { " ? help ".into() } else { format!(" {number} {} ", view.name()) };
        let chosen = if view == scene.app.view { Modifier::REVERSED } else { Modifier::DIM };
        title.push(Span::styled(name, Style::new().add_modifier(chosen)));
    }
    let mut queues = Vec::new();
    for name in ["waiting", "running", "finished"] {
        queues.push(Span::raw(format!("{name} ")));
        let queued = scene.stands.iter().filter(|stand| queue(stand.standing) == Some(name));
        let chips: Vec<Span> = queued.map(|stand| chip(stand.request.id, &stand.request.id.to_string())).collect();
        queues.extend(if chips.is_empty() { vec![dim(" – ")] } else { chips });
        queues.push(Span::raw("   "));
    }
    let lines = vec![Line::from(title), Line::from(queues), budget_bar(scene, area.width)];
    frame.render_widget(Paragraph::new(lines), area);
}

fn queue(standing: Standing) -> Option<&'static str> {
    match standing {
        Standing::NotYet(_) => None,
        Standing::Waiting => Some("waiting"),
        Standing::Running => Some("running"),
        Standing::Ended(..) => Some("finished"),
    }
}

/// A piece for each request, as wide as its tokens; dots for what is not used.
fn budget_bar(scene: &Scene, width: u16) -> Line<'static> {
    let budget = scene.app.recording.run.config.max_tokens_per_step;
    let used = scene.snapshot.map_or(0, |snapshot| snapshot.tokens.len());
    let label = format!("budget {used}/{budget} ");
    let room = usize::from(width) - label.len();
    // Two columns a token if there is room, fewer than one if there must be.
    let columns = |tokens: usize| if 2 * budget <= room { 2 * tokens } else { tokens * room.min(budget) / budget };
    let mut spans = vec![Span::raw(label)];
    let mut before = 0;
    for row in scene.snapshot.iter().flat_map(|snapshot| &snapshot.step.rows) {
        let width = columns(before + row.query_len) - columns(before);
        spans.push(chip_of(row.id, format!("{:^width$.width$}", row.id.to_string())));
        before += row.query_len;
    }
    spans.push(dim(&"·".repeat(columns(budget) - columns(used))));
    Line::from(spans)
}

/// Whether the border has room for what came of the last key.
fn note_fits(app: &App, width: u16) -> bool {
    app.message.chars().count() + " why   ".len() + " ".len() < usize::from(width)
}

fn num_lines(text: &str, width: u16) -> u16 {
    (text.chars().count() as u16 + 8).div_ceil(width)
}

/// What came of the last key, and why the selected request has a row or none; and the keys.
fn draw_foot(frame: &mut Frame, scene: &Scene, area: Rect) {
    let [above, last] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    let selected = match scene.stands.iter().find(|stand| stand.request.id == scene.app.selected) {
        Some(stand) => {
            let name = chip(stand.request.id, &format!("request {}", stand.request.id));
            vec![name, Span::raw(format!(" {}", stand.why))]
        }
        None => vec![dim("there is no request: a adds one")],
    };
    let (mut title, mut text) = (vec![dim(" why ")], vec![Line::from(selected)]);
    if !note_fits(scene.app, area.width) {
        text.insert(0, Line::from(bold(&scene.app.message)));
    } else if !scene.app.message.is_empty() {
        title.extend([Span::raw("─ "), bold(&scene.app.message), Span::raw(" ")]);
    }
    let block = Block::new().borders(Borders::TOP).title(Line::from(title)).border_style(Modifier::DIM);
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), above);
    let keys = "←→ step  ↑↓ request  [] knob  -+ turn  a add  x give up  tab view  ? keys  q end";
    frame.render_widget(Paragraph::new(dim(keys)), last);
}

fn panel(title: &str) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(format!(" {title} ")).border_style(Modifier::DIM)
}

fn bold(text: &str) -> Span<'static> {
    Span::styled(text.to_owned(), Modifier::BOLD)
}

fn dim(text: &str) -> Span<'static> {
    Span::styled(text.to_owned(), Modifier::DIM)
}

/// A request's colour behind a text.
fn chip(id: RequestId, text: &str) -> Span<'static> {
    chip_of(id, format!(" {text} "))
}

fn chip_of(id: RequestId, text: String) -> Span<'static> {
    Span::styled(text, Style::new().fg(Color::Indexed(16)).bg(colour(id)))
}

fn colour(id: RequestId) -> Color {
    Color::Indexed(COLOURS[colour_idx(id)].ansi)
}
