//! Damaged model folders end in a result or in an error in words: no panic, no signal, within ten seconds and two gigabytes.
//!
//! Each seed damages a fixture in its own way (`super::mutate`), and the binary runs it: a plain prompt and a conversation.
//! A test run takes the first 2,000 seeds; `CB_LAB_MUTATIONS=2000..9000` takes others, and 17..18 one alone.

use super::harness::{cb_lab, file_of};
use super::mutate::mutated;
use libtest_mimic::{Failed, Trial};
use std::io::{Read, Seek};
use std::ops::Range;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a test run has time for.
const SEEDS: Range<usize> = 0..2000;
const LONGEST: Duration = Duration::from_secs(10);
/// Address space, which is more than what is used of it.
const MOST_KIB: usize = 2 << 20;
/// Bytes on stderr: a few errors that somebody can read.
const LONGEST_WORDS: usize = 10_000;

pub fn trials() -> Vec<Trial> {
    // The limit is set by a shell.
    let trial = Trial::test("mutations/end in a result or in words", all);
    vec![trial.with_ignored_flag(!cfg!(unix))]
}

fn all() -> Result<(), Failed> {
    let seeds = match std::env::var("CB_LAB_MUTATIONS") {
        Err(_) => SEEDS,
        Ok(text) => parse(&text).ok_or("CB_LAB_MUTATIONS is a range of seeds such as 2000..9000")?,
    };
    let (next, faults, results) = (AtomicUsize::new(seeds.start), Mutex::new(Vec::new()), AtomicUsize::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            match try_seed(seed) {
                Ok(code) => drop(results.fetch_add(usize::from(code == 0), Ordering::Relaxed)),
                Err(fault) => faults.lock().expect("nobody panics with it").push(fault),
            }
        }
    };
    let num_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..num_threads).for_each(|_| drop(scope.spawn(work))));
    let faults = faults.into_inner()?;
    if !faults.is_empty() {
        return Err(format!("{} of {} seeds:\n{}", faults.len(), seeds.len(), faults.join("\n\n")).into());
    }
    // The damage is neither too little nor too much.
    let num_results = results.into_inner();
    let share = 100 * num_results / seeds.len().max(1);
    if seeds.len() >= 100 && !(5..=70).contains(&share) {
        return Err(format!("{num_results} of {} folders still gave results", seeds.len()).into());
    }
    Ok(())
}

fn parse(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once("..")?;
    Some(start.parse().ok()?..end.parse().ok()?)
}

/// The exit code, if all is well.
fn try_seed(seed: usize) -> Result<i32, String> {
    let (folder, story) = mutated(seed);
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    folder.write(dir.path());
    let path = dir.path().to_str().ok_or("temporary folders have plain names")?;
    let lines = r#"{"prompt":"Once upon a time","max_new_tokens":3}
{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}],"max_new_tokens":2,"temperature":1}"#;
    let generate = ["generate", "--backend", "cpu", "--format", "jsonl", "--prompts", "-", "--model", path];
    let mut command = limited(&cb_lab(&generate));
    let mut stderr = tempfile::tempfile().map_err(|error| error.to_string())?;
    command.stdin(file_of(lines)).stdout(Stdio::null());
    command.stderr(stderr.try_clone().map_err(|error| error.to_string())?);
    let status = within(command).map_err(|fault| format!("{story}\n  {fault}"))?;
    let mut told = Vec::new();
    stderr.rewind().and_then(|()| stderr.read_to_end(&mut told)).map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&told);
    let shown = || told.chars().take(2000).collect::<String>();
    let in_words = told.lines().any(|line| line.starts_with("error: "));
    if told.len() > LONGEST_WORDS {
        return Err(format!("{story}\n  {} bytes of words: {}", told.len(), shown()));
    }
    match status.code() {
        Some(0) => Ok(0),
        Some(code @ (1 | 2)) if in_words => Ok(code),
        _ => Err(format!("{story}\n  {status}: {}", shown())),
    }
}

/// The same in a shell that limits its memory. Of threads one: each has address space of its own.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -v {MOST_KIB} && exec \"$0\" \"$@\"")).arg(command.get_program());
    limited.args(command.get_args()).env("RAYON_NUM_THREADS", "1");
    limited
}

fn within(mut command: Command) -> Result<ExitStatus, String> {
    let begin = Instant::now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        if begin.elapsed() > LONGEST {
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            return Err(format!("still running after {LONGEST:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
