//! Seeds: what a request gets depends on its own seed, not on its batch.

use super::chat::chatting;
use super::harness::{file_of, generate_lines, generating, run, trials};

trials!(seeds_on_the_cpu, greedy_needs_no_seed, what_temperature_0_makes_idle);

fn texts(backend: &str, args: &[&str], lines: &[String]) -> Vec<String> {
    let all = ["--format", "jsonl", "--max-new-tokens", "12", "--prompts", "-"];
    let mut command = generating(backend, &[&all, args].concat());
    command.stdin(file_of(lines.join("\n")));
    run(command).finished().texts()
}

fn line(prompt: &str, seed: u64) -> String {
    format!(r#"{{"prompt":"{prompt}","seed":{seed}}}"#)
}

fn seeds_on_the_cpu() {
    seeds_on("cpu").unwrap();
}

pub fn seeds_on(backend: &str) -> Result<(), String> {
    let args = ["--temperature", "1.5", "--top-k", "40"];
    let several = [line("Once", 1), line("Once", 2), line("The little", 1), line("Once", 1)];
    let batched = texts(backend, &args, &several);
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {batched:?}")) };
    check(batched[0] == batched[3], "the same seed, the same text")?;
    check(batched[0] != batched[1], "another seed, another text")?;
    check(texts(backend, &args, &[line("Once", 1)])[0] == batched[0], "alone as in a batch")?;
    check(texts(backend, &args, &several) == batched, "the same every time")?;
    let by_option = [&args[..], &["--seed", "2"]].concat();
    check(texts(backend, &by_option, &[r#"{"prompt":"Once"}"#.into()])[0] == batched[1], "--seed is the default seed")
}

fn greedy_needs_no_seed() {
    let greedy = texts("cpu", &[], &[line("Once", 1), line("Once", 2)]);
    assert_eq!(greedy[0], greedy[1]);
}

/// No error, but said, once.
fn what_temperature_0_makes_idle() {
    let notes = |args: &[&str], lines: &[&str]| -> Vec<String> {
        let run = generate_lines(&[args, &["--max-new-tokens", "1"]].concat(), lines).finished();
        run.stderr.lines().filter(|line| line.starts_with("without effect: ")).map(str::to_owned).collect()
    };
    let plain = r#"{"prompt":"a"}"#;
    let why = "(temperature is 0, which always takes the most probable token";
    let all = ["--top-k", "3", "--top-p", "0.5", "--min-p", "0.1", "--seed", "7"];
    assert_eq!(notes(&all, &[plain]), [format!("without effect: --top-k, --top-p, --min-p, --seed {why})")]);
    assert!(notes(&[&all[..], &["--temperature", "1"]].concat(), &[plain]).is_empty());
    assert!(notes(&all, &[r#"{"prompt":"a","temperature":1}"#]).is_empty(), "a line may choose");
    assert!(notes(&[&all[..], &["--quiet"]].concat(), &[plain]).is_empty());
    let lines = [plain, r#"{"prompt":"a","top_k":2,"seed":1}"#, r#"{"prompt":"a","seed":1,"temperature":0}"#];
    let so = [format!("without effect: top_k, seed in stdin, line 2 {why}; so it is in 1 more)")];
    assert_eq!(notes(&[], &lines), so);
    let mut chat = chatting("smollm2", &["--seed", "3"]);
    chat.stdin(file_of("/exit\n"));
    assert!(run(chat).finished().stderr.contains(&format!("without effect: --seed {why})")));
}
