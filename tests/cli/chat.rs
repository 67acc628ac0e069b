//! `chat`: a conversation on stdin, and Ctrl-C.

use super::harness::*;
use super::model_copy::fixture;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

trials![
    answers_in_turn,
    remembers_and_forgets,
    a_question_that_is_too_long,
    a_line_that_is_not_utf8,
    commands_are_not_for_the_model,
    needs_a_template,
    an_interrupt_stops_the_answer_alone
];

/// `cb-lab chat` on the CPU.
pub fn chatting(model: &str, args: &[&str]) -> Command {
    let model = fixture(model);
    let model = model.to_str().expect("the repository has a plain path");
    cb_lab(&[&["chat", "--backend", "cpu", "--model", model], args].concat())
}

fn chat(args: &[&str], lines: impl AsRef<[u8]>) -> Run {
    let mut command = chatting("smollm2", args);
    command.stdin(file_of(lines));
    run(command)
}

fn answers_in_turn() {
    // ASCII lines alone would do, but random weights speak in fragments of everything.
    let one = chat(&["--max-new-tokens", "4"], "hello\n").finished();
    let two = chat(&["--max-new-tokens", "4"], "hello\nhow are you\n/exit\nnever read\n").finished();
    assert!(!one.stdout.is_empty());
    assert!(two.stdout.starts_with(&one.stdout), "{:?} and {:?}", one.stdout, two.stdout);
    assert!(two.stdout.len() > one.stdout.len());
}

fn remembers_and_forgets() {
    let last_answer = |lines: &str| {
        let run = chat(&["--max-new-tokens", "12"], lines).finished();
        run.stdout.trim_end_matches('\n').rsplit('\n').next().map(str::to_owned)
    };
    let alone = last_answer("how are you\n");
    assert_eq!(last_answer("hello\n/reset\nhow are you\n"), alone);
    assert_ne!(last_answer("hello\nhow are you\n"), alone);
    // 40 turns do not fit 512 tokens; the oldest are dropped.
    let long = chat(&["--max-new-tokens", "4"], "tell me more about the little red boat\n".repeat(40)).finished();
    assert!(long.stderr.contains("no longer fits"), "{}", long.stderr);
}

/// Commands do not change the conversation; what only looks like one does.
fn commands_are_not_for_the_model() {
    let args = ["--max-new-tokens", "4"];
    let plain = chat(&args, "hello\n").finished();
    let run = chat(&args, "/help\n/rset\nhello\n").finished();
    assert_eq!(run.stdout, plain.stdout);
    run.complains(&["there is no command /rset", "/reset begins anew"]);
    assert_ne!(chat(&args, "/etc/hosts is a file\nhello\n").finished().stdout, plain.stdout);
}

/// It is refused, and the conversation goes on as if it had never been asked.
fn a_question_that_is_too_long() {
    let args = ["--max-new-tokens", "12"];
    let too_long = "more ".repeat(600);
    let run = chat(&args, format!("hello\n{too_long}\nhow are you\n")).finished();
    assert_eq!(run.stdout, chat(&args, "hello\nhow are you\n").finished().stdout);
    let run = run.complains(&["request refused", "made for at most 512: shorten the prompt to 501 tokens"]);
    assert!(!run.stderr.contains("no longer fits"), "{}", run.stderr);
}

fn a_line_that_is_not_utf8() {
    let args = ["--max-new-tokens", "4"];
    let run = chat(&args, b"h\xe9llo\nhello\n").finished().complains(&["not UTF-8"]);
    assert_eq!(run.stdout, chat(&args, "hello\n").finished().stdout);
}

fn needs_a_template() {
    let mut command = chatting("llama", &[]);
    command.stdin(file_of("hello\n"));
    run(command).failed(1).complains(&["chat template", "cb-lab generate"]).without_results();
}

/// An answer that would take long is stopped; then there is a next one.
fn an_interrupt_stops_the_answer_alone() {
    if !cfg!(unix) {
        return;
    }
    let mut command = chatting("smollm2", &["--max-new-tokens", "450", "--ignore-eos", "--temperature", "1"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it was piped"));
    writeln!(stdin, "hello").expect("it reads");
    // The answer has begun when its first byte is there.
    stdout.fill_buf().expect("it writes");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("there is kill");
    assert!(killed.success());
    drop(stdin);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("it ends");
    let text = String::from_utf8_lossy(&rest);
    assert!(text.trim_end().ends_with('…'), "{text:?}");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
