//! The museum: six bugs of real engines put back, one at a time, each beside the right result and beside its catcher.

#[path = "../common/mod.rs"]
mod common;
mod exhibits;

use cb_lab::backend::Backend;
use cb_lab::cli::choose_backend::BackendChoice;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use common::{Demo, Device, Outcome, Screen};
use exhibits::{ALL, Bug, Exhibit, Shown};
use std::io::Write;
use std::process::ExitCode;

/// Six bugs that real engines had: the smallest run that shows each, and the test that catches it. On the CPU.
#[derive(Parser)]
#[command(after_help = "Try:\n  --bug stale-block    right for a while, then another request's text\n  \
    --bug oldest         who came first waits longest")]
struct Args {
    /// Show one of them only
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(ALL.map(|exhibit| exhibit.name)))]
    bug: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&Device { backend: BackendChoice::Cpu }, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, _: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        for exhibit in ALL.iter().filter(|exhibit| self.bug.as_ref().is_none_or(|name| name == exhibit.name)) {
            show(exhibit, screen)?;
        }
        Ok(())
    }
}

fn show(exhibit: &Exhibit, screen: &mut Screen) -> Outcome {
    writeln!(screen, "{}", screen.bold(&format!("{}: {}", exhibit.name, exhibit.title)))?;
    for line in wrapped(exhibit.story, 90) {
        writeln!(screen, "  {line}")?;
    }
    let Some((size, Shown { rows, complaint, is_harmed })) = exhibit.smallest_failing_run(Bug::In)? else {
        return Err(format!("no run shows {}: the museum has lost an exhibit", exhibit.name).into());
    };
    let count = |size| format!("{size} {}", exhibit.unit[usize::from(size != 1)]);
    writeln!(screen, "\n  The smallest run that fails: {}", count(size))?;
    input(&rows, screen)?;
    if let Some(complaint) = complaint {
        writeln!(screen, "  check: {complaint}")?;
    }
    if !is_harmed {
        writeln!(screen, "  (nobody gets anything else yet: only the check notices)")?;
    }
    if let Some(size) = exhibit.also {
        writeln!(screen, "\n  The same with {}", count(size))?;
        input(&(exhibit.run)(size, Bug::In)?.rows, screen)?;
    }
    writeln!(screen, "\n  Caught by")?;
    for (target, name) in exhibit.caught_by {
        writeln!(screen, "    cargo test --release --test {target} -- \"{name}\"")?;
    }
    writeln!(screen)?;
    Ok(())
}

fn input(rows: &[[String; 3]], screen: &mut Screen) -> Outcome {
    let widths = [0, 1].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(5));
    writeln!(screen, "  {:w0$}   {:w1$}   with the bug", "", "right", w0 = widths[0], w1 = widths[1])?;
    for [what, right, wrong] in rows {
        let mark = if right == wrong { "" } else { "  <" };
        writeln!(screen, "  {what:w0$}   {right:w1$}   {wrong}{mark}", w0 = widths[0], w1 = widths[1])?;
    }
    Ok(())
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.len() + word.len() >= width) {
            lines.push(String::new());
        }
        let Some(line) = lines.last_mut() else { continue };
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}
