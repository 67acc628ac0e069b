//! Keys, and what they do: from a terminal, and by name from a script.

use crate::app::View;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Forward,
    Back,
    First,
    Last,
    Up,
    Down,
    NextView,
    Show(View),
    NextKnob,
    LastKnob,
    Increase,
    Decrease,
    Add,
    Abort,
    Reset,
    ScrollDown,
    ScrollUp,
    Leave,
    Quit,
}

impl Command {
    /// Nothing happens unseen behind the list of keys.
    pub fn works_in_help(self) -> bool {
        matches!(self, Self::NextView | Self::Show(_) | Self::ScrollDown | Self::ScrollUp | Self::Leave | Self::Quit)
    }
}

/// Names of keys as scripts write them, what they do, and a word on it.
pub const KEYS: [(&[&str], Command, &str); 24] = [
    (&["right", "space"], Command::Forward, "one step forward"),
    (&["left"], Command::Back, "one step back"),
    (&["home"], Command::First, "the first step"),
    (&["end"], Command::Last, "the last step"),
    (&["up"], Command::Up, "select the request above"),
    (&["down"], Command::Down, "select the request below"),
    (&["]"], Command::NextKnob, "select the next knob"),
    (&["["], Command::LastKnob, "select the knob before"),
    (&["+", "="], Command::Increase, "turn the knob up, and run again"),
    (&["-"], Command::Decrease, "turn the knob down, and run again"),
    (&["a"], Command::Add, "add a request after this step"),
    (&["x"], Command::Abort, "give the selected request up after this step"),
    (&["r"], Command::Reset, "requests and knobs as they were at first"),
    (&["tab"], Command::NextView, "the next view"),
    (&["1"], Command::Show(View::Overview), "all at a glance"),
    (&["2"], Command::Show(View::Tokens), "token table and mask"),
    (&["3"], Command::Show(View::Blocks), "blocks and block tables"),
    (&["4"], Command::Show(View::Timeline), "requests over steps"),
    (&["5"], Command::Show(View::Happened), "what happened in this step, and why"),
    (&["?", "h"], Command::Show(View::Help), "this list, and back from it"),
    (&["pagedown"], Command::ScrollDown, "further down in a table"),
    (&["pageup"], Command::ScrollUp, "further up"),
    (&["esc"], Command::Leave, "back from this list; elsewhere end"),
    (&["q", "ctrl-c"], Command::Quit, "end"),
];

pub fn command_of_name(name: &str) -> Option<Command> {
    KEYS.iter().find(|(names, ..)| names.contains(&name)).map(|(_, command, _)| *command)
}

pub fn command_of_key(key: KeyEvent) -> Option<Command> {
    let name = match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => "ctrl-c".into(),
        KeyCode::Char(' ') => "space".into(),
        KeyCode::Char(letter) => letter.to_string(),
        KeyCode::Right => "right".into(),
        KeyCode::Left => "left".into(),
        KeyCode::Up => "up".into(),
        KeyCode::Down => "down".into(),
        KeyCode::Home => "home".into(),
        KeyCode::End => "end".into(),
        KeyCode::Tab => "tab".into(),
        KeyCode::Esc => "esc".into(),
        KeyCode::PageDown => "pagedown".into(),
        KeyCode::PageUp => "pageup".into(),
        _ => return None,
    };
    command_of_name(&name)
}

/// What `--help` says of them.
pub fn help() -> String {
    let lines = KEYS.iter().map(|(names, _, what)| format!("  {:<16}{what}\n", names.join(", ")));
    format!("Keys:\n{}", lines.collect::<String>())
}
