//! What goes where: results to stdout, everything else to stderr, and nobody has to listen to either.

use super::harness::{Run, cb_lab, file_of, generate, generate_lines, generating, run, trials};
use std::io::{BufRead, BufReader};
use std::process::Command;

trials!(
    stdin_is_a_file_of_prompts,
    quiet,
    nothing_but_results_on_stdout,
    nobody_listens,
    nobody_reads_the_record,
    a_full_disk
);

const SHORT: [&str; 2] = ["--max-new-tokens", "3"];

fn stdin_is_a_file_of_prompts() {
    let line = r#"{"prompt":"hi"}"#;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prompts.jsonl");
    std::fs::write(&path, line).unwrap();
    let by_path = generate(&["--format", "jsonl", "--prompts", path.to_str().unwrap(), SHORT[0], SHORT[1]]).finished();
    assert_eq!(generate_lines(&SHORT, &[line]).finished().stdout, by_path.stdout);
}

fn quiet() {
    let loud = generate(&["hi", "ho", SHORT[0], SHORT[1]]).finished();
    let quiet = generate(&["hi", "ho", "--quiet", SHORT[0], SHORT[1]]).finished();
    assert_eq!(quiet.stderr, "");
    assert_eq!(quiet.stdout, loud.stdout);
    for part in ["running on the CPU (", "KV pool: ", "memory: ", "2 requests, 6 tokens in ", ", as planned"] {
        assert!(loud.stderr.contains(part), "{} does not say {part:?}", loud.stderr);
    }
    assert!(!loud.stderr.contains("step="), "only --log-steps does");
}

fn nothing_but_results_on_stdout() {
    let plain = generate(&["hi", "ho", "--quiet", SHORT[0], SHORT[1]]).finished();
    let logged = generate(&["hi", "ho", "--log-steps", SHORT[0], SHORT[1]]).finished();
    assert_eq!(plain.stdout, logged.stdout);
    for line in generate_lines(&["--log-steps", SHORT[0], SHORT[1]], &[r#"{"prompt":"hi"}"#]).finished().json_lines() {
        assert!(line.is_object());
    }
}

/// Runs with one end of a pipe whose other end is closed, as `| head -1` leaves it.
fn into_a_closed_pipe(args: &[&str], stdout: bool, stderr: bool) -> Run {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = cb_lab(args);
    if stdout {
        command.stdout(writer.try_clone().unwrap());
    }
    if stderr {
        command.stderr(writer);
    }
    run(command)
}

fn nobody_listens() {
    let cases: [&[&str]; 4] = [
        &["generate", "a", "b", "--backend", "cpu", "--log-steps", "--max-new-tokens", "3"],
        &["generate", "a", "--backend", "cpu", "--format", "jsonl", "--max-new-tokens", "3"],
        &["devices"],
        &[],
    ];
    for args in cases {
        let silent = into_a_closed_pipe(args, true, false).finished();
        assert!(!silent.stderr.contains("error") && !silent.stderr.contains("panicked"), "{}", silent.stderr);
        into_a_closed_pipe(args, false, true).finished();
        into_a_closed_pipe(args, true, true).finished();
    }
    // What went wrong shows in the exit code even if nobody hears it.
    into_a_closed_pipe(&["generate", "", "--backend", "cpu"], false, true).failed(1);
    into_a_closed_pipe(&["generate", "a", "--top-p", "2"], false, true).failed(2);
}

/// Unlike stdout, a log was asked for by name.
fn nobody_reads_the_record() {
    if !cfg!(unix) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.jsonl");
    assert!(Command::new("mkfifo").arg(&path).status().expect("there is mkfifo").success());
    // More steps than a pipe has room for: the run is not over before the reader is gone.
    let lines = [r#"{"prompt":"a","max_new_tokens":450}"#, r#"{"id":"short","prompt":"b","max_new_tokens":1}"#];
    let args = ["--ignore-eos", "--format", "jsonl", "--prompts", "-", "--record", path.to_str().unwrap()];
    let mut command = generating("cpu", &args);
    command.stdin(file_of(lines.join("\n")));
    let reader = std::thread::spawn(move || {
        let log = BufReader::new(std::fs::File::open(path).unwrap());
        log.lines().map_while(Result::ok).find(|line| line.starts_with(r#"{"event":"step""#))
    });
    let run = run(command).failed(1).complains(&["cannot write ", "run.jsonl: "]);
    assert!(reader.join().unwrap().is_some());
    let ids: Vec<_> = run.json_lines().iter().map(|line| line["id"].clone()).collect();
    assert_eq!(ids, ["short"], "what had finished is not lost");
}

fn a_full_disk() {
    if cfg!(target_os = "linux") {
        let mut command = generating("cpu", &["a", "b", SHORT[0], SHORT[1]]);
        command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        run(command).failed(1).complains(&["cannot write the results"]);
    }
}
