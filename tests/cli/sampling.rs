//! Seeds: what a request gets depends on its own seed, not on its batch.

use super::harness::{file_of, generating, run, trials};

trials!(seeds_on_the_cpu, greedy_needs_no_seed);

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
