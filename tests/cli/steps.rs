//! `--log-steps`: a line a step in the documented form, and figures that add up.

use super::harness::{Run, generate_lines, trials};
use regex::Regex;

trials!(figures_add_up, figures_add_up_when_the_pool_is_small, the_old_name_of_the_budget, memory);

/// The figures of a line.
struct Step {
    step: usize,
    decode: usize,
    prefill: usize,
    active: usize,
    waiting: usize,
    free_blocks: usize,
    decode_ids: Vec<usize>,
    prefills: Vec<(usize, usize)>,
}

fn steps(run: &Run) -> Vec<Step> {
    let form = Regex::new(
        r"^step=(\d+) decode=(\d+) prefill=(\d+) active=(\d+) waiting=(\d+) free_blocks=(\d+) decode_ids=\[((?:\d+(?:,\d+)*)?)\] prefill=\[((?:\(\d+,\d+\)(?:,\(\d+,\d+\))*)?)\]$",
    )
    .unwrap();
    let numbers = |text: &str| -> Vec<usize> {
        let digits = text.split(|c: char| !c.is_ascii_digit());
        digits.filter(|digits| !digits.is_empty()).map(|digits| digits.parse().unwrap()).collect()
    };
    let step = |line: &str| {
        let fields = form.captures(line).unwrap_or_else(|| panic!("not of the documented form: {line}"));
        let number = |i: usize| fields[i].parse().unwrap();
        let pairs = numbers(&fields[8]);
        Step {
            step: number(1),
            decode: number(2),
            prefill: number(3),
            active: number(4),
            waiting: number(5),
            free_blocks: number(6),
            decode_ids: numbers(&fields[7]),
            prefills: pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
        }
    };
    run.stderr.lines().filter(|line| line.starts_with("step=")).map(step).collect()
}

/// Checks each line by itself; returns the rows of all together.
fn check(steps: &[Step], budget: usize, chunk: usize, max_num_seqs: usize, num_blocks: usize) -> usize {
    for (step, number) in steps.iter().zip(1..) {
        assert_eq!(step.step, number);
        assert_eq!(step.decode, step.decode_ids.len());
        assert_eq!(step.prefill, step.prefills.iter().map(|(_, len)| len).sum::<usize>());
        assert!((1..=budget).contains(&(step.decode + step.prefill)), "step {number} is within the budget");
        assert!(step.prefills.iter().all(|(_, len)| *len <= chunk), "step {number} has no larger chunk");
        assert!(step.active <= max_num_seqs && step.decode_ids.len() + step.prefills.len() <= step.active);
        assert!(step.free_blocks + step.active <= num_blocks, "a running sequence holds a block");
    }
    steps.iter().map(|step| step.decode + step.prefill).sum()
}

const LINES: [&str; 4] = [
    r#"{"prompt":"abcdefghijklmnopqrstuvw","max_new_tokens":9}"#,
    r#"{"prompt":"x","max_new_tokens":20}"#,
    r#"{"prompt":"zyxwvut","max_new_tokens":4}"#,
    r#"{"prompt":"ABCDEFGH","max_new_tokens":9}"#,
];

/// Rows that must be computed: every token but the last of each sequence.
fn num_rows(run: &Run) -> usize {
    let len = |line: &serde_json::Value, key: &str| line[key].as_array().unwrap().len();
    run.json_lines().iter().map(|line| len(line, "prompt_token_ids") + len(line, "token_ids") - 1).sum()
}

fn run_with(args: &[&str]) -> Run {
    generate_lines(&[&["--log-steps", "--ignore-eos"], args].concat(), &LINES).finished()
}

fn figures_add_up() {
    let limits = ["--max-tokens-per-step", "8", "--prefill-chunk-size", "5", "--max-num-seqs", "3"];
    let run = run_with(&[&limits[..], &["--num-kv-blocks", "64", "--block-size", "4"]].concat());
    let steps = steps(&run);
    assert_eq!(check(&steps, 8, 5, 3, 64), num_rows(&run), "nothing is computed twice while there is room");
    assert!(steps.iter().any(|step| step.waiting > 0), "one has to wait for its turn");
    assert!(run.stderr.contains("KV blocks free at the end: 64 of 64"), "{}", run.stderr);
    assert!(run.stderr.contains(&format!(", {} steps of ", steps.len())), "{}", run.stderr);
    let generated: usize = run.json_lines().iter().map(|line| line["token_ids"].as_array().unwrap().len()).sum();
    assert!(run.stderr.contains(&format!("4 requests, {generated} tokens in ")), "{}", run.stderr);
}

fn figures_add_up_when_the_pool_is_small() {
    // 8 blocks of 4 for sequences that grow to 32, 21, 11 and 17 tokens: some lose theirs and are computed again.
    let limits = ["--max-tokens-per-step", "64", "--prefill-chunk-size", "64", "--num-kv-blocks", "8"];
    let run = run_with(&[&limits[..], &["--block-size", "4"]].concat());
    assert!(check(&steps(&run), 64, 64, 64, 8) > num_rows(&run), "something was computed again");
    assert!(run.stderr.contains("KV blocks free at the end: 8 of 8"), "{}", run.stderr);
    assert_eq!(run.stdout, run_with(&[]).stdout, "and nobody sees it in the results");
}

fn the_old_name_of_the_budget() {
    let run = run_with(&["--max-num-batched-tokens", "6"]);
    check(&steps(&run), 6, 6, 64, usize::MAX);
    assert_eq!(run.stdout, run_with(&["--max-tokens-per-step", "6"]).stdout);
}

fn memory() {
    let run = run_with(&[]);
    let line = Regex::new(r"(?m)^peak resident memory: (\d+ MiB|unknown on this system)$").unwrap();
    assert!(line.is_match(&run.stderr), "{}", run.stderr);
    assert!(!cfg!(target_os = "linux") || run.stderr.contains(" MiB\n"), "Linux tells it");
}
