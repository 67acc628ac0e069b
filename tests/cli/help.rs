//! Help fits the terminal and names everything there is.

use super::harness::{cb_lab, run, trials};

trials!(without_arguments, fits_the_terminal, names_every_option);

fn help(args: &[&str], columns: &str) -> String {
    let mut command = cb_lab(args);
    command.env("COLUMNS", columns);
    let run = run(command).finished();
    assert_eq!(run.stderr, "");
    run.stdout
}

fn without_arguments() {
    let shown = help(&[], "80");
    for part in ["Usage: cb-lab", "generate", "devices"] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_eq!(shown, help(&["--help"], "80"));
    assert!(help(&["--version"], "80").starts_with("cb-lab "));
}

fn fits_the_terminal() {
    for columns in [80, 100] {
        let bench =
            ["attention", "calibrate", "linear", "model", "throughput"].map(|what| vec!["bench", what, "--help"]);
        let others = [vec!["-h"], vec!["generate", "-h"], vec!["generate", "--help"], vec!["devices", "--help"]];
        for args in others.iter().chain(&bench) {
            for line in help(args, &columns.to_string()).lines() {
                assert!(line.chars().count() <= columns, "{args:?} at {columns} columns: {line}");
            }
        }
    }
    // A wider terminal does not make lines that are hard to read.
    assert!(help(&["generate", "-h"], "300").lines().all(|line| line.len() <= 100));
}

fn names_every_option() {
    let shown = help(&["generate", "-h"], "100");
    let options = "--model <DIR> --prompts <FILE.jsonl> --backend <BACKEND> --kernels <KERNELS> --max-new-tokens <N> --temperature <T> \
                   --top-k <K> --top-p <P> --min-p <P> --seed <S> --stop <TEXT> --ignore-eos --block-size <N> \
                   --num-kv-blocks <N> --max-tokens-per-step <N> --max-num-batched-tokens --prefill-chunk-size <N> \
                   --max-num-seqs <N> --max-model-len <N> --format <FORMAT> --log-steps --record <FILE.jsonl> --trace <FILE.json> --quiet";
    for option in options.split(" --") {
        assert!(shown.contains(option), "{option}: {shown}");
    }
    for part in ["[PROMPT]...", "\nSampling:\n", "\nLimits:\n", "[default: 64]", "[default: 16]", "[default: auto]"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}
