//! The whole engine against transformers, on the CPU reference and on every GPU found.

mod fixtures;
mod golden;

use libtest_mimic::Arguments;

fn main() {
    let mut trials = Vec::new();
    trials.extend(golden::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
