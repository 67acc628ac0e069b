//! A run to walk through: step by step, forwards and back, with every knob, and for each request the reason why it was
//! or was not scheduled.

mod app;
#[path = "../common/mod.rs"]
mod common;
mod draw;
mod keys;
mod knobs;
#[path = "../common/palette.rs"]
#[allow(dead_code, reason = "some colours are for pictures")]
mod palette;
mod plan;
mod script;
#[path = "../common/sentences.rs"]
#[allow(dead_code, reason = "topics are for pictures")]
mod sentences;
mod standing;
#[cfg(test)]
mod tests;

use app::{App, Next};
use cb_lab::backend::Backend;
use cb_lab::cli::choose_backend::BackendChoice;
use clap::Parser;
use common::scenario::Scenario;
use common::{Demo, Device, Outcome, Screen};
use plan::Plan;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Walk through a run in the terminal: queues, token table, mask, blocks, and why each request was scheduled or not.
#[derive(Parser)]
#[command(after_help = keys::help())]
struct Args {
    /// Play keys by name, one a line, and print the screen as text; - reads them from stdin
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Columns and lines of the screen that a script draws on
    #[arg(long, value_name = "WxH", default_value = "80x24", value_parser = parse_size)]
    size: (u16, u16),
    /// Where to compute. Each change runs all again, for which opening a GPU takes longer than the run
    #[arg(long, value_enum, default_value_t = BackendChoice::Cpu)]
    backend: BackendChoice,
    #[command(flatten)]
    scenario: Scenario,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&Device { backend: args.backend }, &args)
}

impl Demo for Args {
    /// The screen has no place for it; the list of keys says it.
    fn announce(&self, _device: &str, _screen: &mut Screen) -> Outcome {
        Ok(())
    }

    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        let runner = |plan: &Plan| plan.record(backends()?);
        let mut app = App::new(Plan::new(&self.scenario), &runner)?;
        match &self.script {
            Some(path) => Ok(screen.write_all(script::play(&mut app, &read(path)?, self.size)?.as_bytes())?),
            None if io::stdin().is_terminal() && io::stdout().is_terminal() => interact(&mut app),
            None => Err("there is no terminal: play keys with --script FILE".into()),
        }
    }
}

/// Draws, and waits for keys. The terminal is as it was before afterwards, after a panic, too.
fn interact(app: &mut App) -> Outcome {
    let mut terminal = ratatui::try_init()?;
    let outcome = loop_until_quit(app, &mut terminal);
    ratatui::try_restore()?;
    outcome
}

fn loop_until_quit(app: &mut App, terminal: &mut ratatui::DefaultTerminal) -> Outcome {
    loop {
        terminal.draw(|frame| draw::draw(frame, app))?;
        let Event::Key(key) = event::read()? else { continue };
        let command = keys::command_of_key(key).filter(|_| key.kind != KeyEventKind::Release);
        if command.is_some_and(|command| app.do_command(command) == Next::Quit) {
            return Ok(());
        }
    }
}

fn read(path: &PathBuf) -> io::Result<String> {
    if path.as_os_str() != "-" {
        return fs::read_to_string(path);
    }
    let mut script = String::new();
    io::stdin().read_to_string(&mut script)?;
    Ok(script)
}

fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let parts = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    parts.filter(|&(width, height)| width > 0 && height > 0).ok_or_else(|| "such as 80x24".into())
}
