//! Runs the real binary and looks at what a user sees: exit code, stdout, stderr.

use super::model_copy::fixture;
use serde_json::Value;
use std::fs::File;
use std::io::{Seek, Write};
use std::process::{Command, Stdio};

/// A trial for each named function of a module; one that panics has failed.
macro_rules! trials {
    ($($test:ident),+ $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(libtest_mimic::Trial::test(format!("{module}/{}", stringify!($test)), || {
                $test();
                Ok(())
            })),+]
        }
    };
}
pub(crate) use trials;

/// What a run left behind.
pub struct Run {
    command: String,
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// `cb-lab` with these arguments, nothing on stdin.
pub fn cb_lab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cb-lab"));
    command.args(args).stdin(Stdio::null());
    // Vulkan loaders complain on stderr where it is unset.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    command
}

/// `cb-lab generate` on the CPU, with these arguments after that.
pub fn generate(args: &[&str]) -> Run {
    run(generating("cpu", args))
}

/// `cb-lab generate` on a backend, not yet run. The model is a fixture unless the arguments name one: what the embedded
/// model says may change.
pub fn generating(backend: &str, args: &[&str]) -> Command {
    let model = fixture("smollm2");
    let model = ["--model", model.to_str().expect("the repository has a plain path")];
    let model = if args.contains(&"--model") { &[][..] } else { &model };
    cb_lab(&[&["generate", "--backend", backend], model, args].concat())
}

/// As [`generate`] in JSON lines, with prompts on stdin.
pub fn generate_lines(args: &[&str], lines: &[&str]) -> Run {
    let mut command = generating("cpu", &[&["--format", "jsonl", "--prompts", "-"], args].concat());
    command.stdin(file_of(lines.join("\n")));
    run(command)
}

/// An open file with this text. Not a pipe, which would need someone to write into it meanwhile.
pub fn file_of(text: impl AsRef<[u8]>) -> File {
    let mut file = tempfile::tempfile().expect("there is room for a file");
    file.write_all(text.as_ref()).and_then(|()| file.rewind()).expect("a new file can be written");
    file
}

pub fn run(mut command: Command) -> Run {
    let output = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
    Run {
        command: format!("{:?}", command.get_args().collect::<Vec<_>>()),
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Run {
    /// It ended well.
    #[track_caller]
    pub fn finished(self) -> Self {
        assert_eq!(self.code, Some(0), "{}: {}", self.command, self.stderr);
        self
    }

    /// It ended with this code.
    #[track_caller]
    pub fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}: {}", self.command, self.stderr);
        self
    }

    /// stderr has one error, and it says all of this.
    #[track_caller]
    pub fn complains(self, parts: &[&str]) -> Self {
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        let [error] = errors[..] else { panic!("{}: not one error: {:?}", self.command, self.stderr) };
        for part in parts {
            assert!(error.contains(part), "{}: {error:?} does not say {part:?}", self.command);
        }
        self
    }

    /// stdout is empty.
    #[track_caller]
    pub fn without_results(self) -> Self {
        assert_eq!(self.stdout, "", "{}", self.command);
        self
    }

    /// stdout as JSON lines.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The text of each line.
    #[track_caller]
    pub fn texts(&self) -> Vec<String> {
        self.json_lines().iter().map(|line| line["text"].as_str().expect("a line has a text").to_string()).collect()
    }
}
