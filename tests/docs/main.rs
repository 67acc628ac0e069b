//! The commands of the README and of docs/ are run, and what they print is held against what the page shows.
//!
//! * A block marked `console` is a terminal: a line that begins with `$ ` is a command, the lines after it are its output,
//!   standard error included. Each command is a trial: it must end with 0 and print that. Without output shown, ending
//!   with 0 is enough. A line `...` stands for any lines.
//! * A number with a decimal point is a measurement: another machine has another one, so it is not compared.
//! * `cargo run` stands for what it would run: the binary and the examples, which are built first. (`cargo test` builds the
//!   binary, and of an example that has tests only these.)
//! * `CB_LAB_DOCS=write` writes into the pages what the commands print now, but for blocks with a `...`.
//!
//! What stands outside such blocks is checked by `tests/tidy/` as far as it can be without running it.

mod pages;
mod terminal;

use libtest_mimic::{Arguments, Failed, Trial};
use pages::{Command, pages};
use std::sync::Arc;
use terminal::{Terminal, difference};

fn main() {
    let mut args = Arguments::from_args();
    // In the order in which a reader types them: a command may read what the one before it wrote.
    args.test_threads = Some(1);
    terminal::build_examples();
    let Some(terminal) = Terminal::open().map(Arc::new) else {
        let no_shell = |name| Trial::test(format!("{name} [no POSIX shell here]"), || Ok(())).with_ignored_flag(true);
        libtest_mimic::run(&args, vec![no_shell("docs")]).exit()
    };
    if std::env::var_os("CB_LAB_DOCS").is_some_and(|value| value == "write") {
        return write(&terminal);
    }
    let mut trials = Vec::new();
    for page in pages() {
        for command in page.commands {
            let terminal = Arc::clone(&terminal);
            let name = format!("{}:{} {}", page.path, command.line, command.words());
            trials.push(Trial::test(name, move || check(&terminal, &command)));
        }
    }
    trials
        .push(Trial::test("the check finds what it is for", || terminal::finds_what_it_is_for().map_err(Failed::from)));
    libtest_mimic::run(&args, trials).exit();
}

fn check(terminal: &Terminal, command: &Command) -> Result<(), Failed> {
    let printed = terminal.run(&command.text)?;
    match difference(&command.output, &printed) {
        None => Ok(()),
        Some(what) => {
            Err(format!("{what}\n\nIt printed:\n{printed}\nCB_LAB_DOCS=write writes it into the page.").into())
        }
    }
}

/// Puts what is printed now in the place of what differs.
fn write(terminal: &Terminal) {
    for page in pages() {
        let mut text = page.text.clone();
        // From the end on, so that places stay where they were.
        for command in page.commands.iter().rev() {
            let printed = terminal.run(&command.text).unwrap_or_else(|error| panic!("{}: {error}", page.path));
            let is_elided = command.output.lines().any(|line| line == "...");
            if !command.output.is_empty() && !is_elided && difference(&command.output, &printed).is_some() {
                let lines = printed.trim_end().lines().map(|line| format!("{}\n", line.trim_end()));
                let lines: String = lines.collect();
                text.replace_range(command.output_place.clone(), &lines);
                println!("{}:{}: written", page.path, command.line);
            }
        }
        if text != page.text {
            page.save(&text);
        }
    }
}
