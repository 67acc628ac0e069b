//! The `cb-lab` binary; all of it is in [`cb_lab::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cb_lab::cli::main()
}
