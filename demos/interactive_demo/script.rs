//! Plays keys without a terminal: one a line by its name, if wanted with how often. `show` prints the screen as text,
//! and so does the end. Empty lines, and those that begin with #, are skipped.

use crate::app::{App, Next};
use crate::common::Outcome;
use crate::draw::draw;
use crate::keys::command_of_name;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::fmt::Write;

/// The screens, one below the other.
pub fn play(app: &mut App, script: &str, (width, height): (u16, u16)) -> Outcome<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height))?;
    let mut screens = String::new();
    for (number, line) in (1..).zip(script.lines()) {
        let mut words = line.split_whitespace();
        let Some(name) = words.next().filter(|name| !name.starts_with('#')) else { continue };
        if name == "show" {
            show(&mut terminal, app, &mut screens)?;
            continue;
        }
        let command = command_of_name(name).ok_or_else(|| format!("line {number}: no key is called {name:?}"))?;
        let times = words.next().map_or(Ok(1), str::parse);
        let times: usize = times.map_err(|_| format!("line {number}: after the key comes how often, a number"))?;
        for _ in 0..times {
            if app.do_command(command) == Next::Quit {
                return Ok(screens);
            }
        }
    }
    show(&mut terminal, app, &mut screens)?;
    Ok(screens)
}

fn show(terminal: &mut Terminal<TestBackend>, app: &App, screens: &mut String) -> Outcome {
    terminal.draw(|frame| draw(frame, app))?;
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width);
    for row in buffer.content.chunks(width) {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        writeln!(screens, "{}", line.trim_end())?;
    }
    writeln!(screens, "{}", "═".repeat(width))?;
    Ok(())
}
