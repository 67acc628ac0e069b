//! The command line. Text goes to stdout, everything else to stderr.

mod bench;
mod chat;
pub mod choose_backend;
pub mod custom_shaders;
mod devices;
mod engine_args;
mod generate;
mod idle;
mod live;
mod loading;
mod memory;
mod nearest;
mod numbers;
mod open_file;
mod output;
mod progress;
mod prompt;
mod prompt_line;
mod prompts;
mod record;
mod shader_check;
mod shader_excerpt;
mod shader_files;
mod shader_folder;
pub mod spelling;
mod start;
mod wording;
mod wrap;

use crate::backend::cpu::threads;
use crate::error::Error;
use clap::{CommandFactory, Parser, Subcommand};
use spelling::spelled;
use std::process::ExitCode;
use wording::complain;

/// A continuous-batching LLM inference engine that runs on any GPU.
#[derive(Parser)]
#[command(name = "cb-lab", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Generate text for one or many prompts, batched together.
    Generate(Box<generate::GenerateArgs>),
    /// Talk with a model: a conversation in the terminal.
    Chat(Box<chat::ChatArgs>),
    /// Measure kernels and engine against what this machine can do at best.
    Bench(Box<bench::BenchArgs>),
    /// List the GPUs and what they support.
    Devices(devices::DevicesArgs),
}

/// Runs the command line: exit code 0 if all requests finished, 2 for a wrong invocation, 1 otherwise.
pub fn main() -> ExitCode {
    threads::join_this_thread();
    let result = match Cli::parse().command {
        None => {
            // A closed pipe is no failure of ours.
            let _ = Cli::command().print_help();
            return ExitCode::SUCCESS;
        }
        Some(Command::Generate(args)) => pollster::block_on(generate::run(*args)),
        Some(Command::Chat(args)) => pollster::block_on(chat::run(*args)),
        Some(Command::Bench(args)) => pollster::block_on(bench::run(*args)),
        Some(Command::Devices(args)) => pollster::block_on(devices::run(&args)),
    };
    match result {
        Ok(code) => code,
        Err(Error::WriteOutput(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(spelled(&error));
            ExitCode::from(if let Error::InvalidOption { .. } = error { 2 } else { 1 })
        }
    }
}
