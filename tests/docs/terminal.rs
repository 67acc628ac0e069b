//! Runs a line of shell as a reader would, and compares what it prints.

use crate::pages::root;
use regex::Regex;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Stands for cargo: runs what it would run.
const CARGO: &str = r#"#!/bin/sh
if [ "$1 $2" != "run --release" ]; then
    echo "only cargo run --release is run here, not: cargo $*" >&2
    exit 64
fi
shift 2
program=$CB_LAB_BINARY
if [ "$1" = --example ]; then
    program=$CB_LAB_EXAMPLES/$2
    shift 2
fi
if [ "$1" = -- ]; then
    shift
fi
if [ ! -x "$program" ]; then
    echo "there is no $program" >&2
    exit 64
fi
exec "$program" "$@"
"#;

/// Brings the examples up to date, beside the binary and by the same profile.
pub fn build_examples() {
    let folder = Path::new(env!("CARGO_BIN_EXE_cb-lab")).parent().expect("a binary lies in a folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--examples", "--manifest-path"]).arg(root().join("Cargo.toml"));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(folder.parent().expect("a folder of a profile lies in the target folder"));
    let status = cargo.stdin(Stdio::null()).status().expect("cargo, which built this, starts");
    assert!(status.success(), "the examples cannot be built");
}

/// A shell with a folder of its own for temporary files.
pub struct Terminal {
    folder: TempDir,
    path: String,
}

impl Terminal {
    /// `None` where there is no POSIX shell.
    pub fn open() -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let cargo = folder.path().join("cargo");
        std::fs::write(&cargo, CARGO).expect("a new folder can be written to");
        let made = Command::new("chmod").arg("+x").arg(&cargo).status().is_ok_and(|status| status.success());
        // Some commands of the pages write there; elsewhere it may not be, as with CARGO_TARGET_DIR.
        std::fs::create_dir_all(root().join("target")).expect("the repository can be written to");
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
        made.then_some(Self { folder, path })
    }

    /// What the command prints, standard error between, as on a terminal.
    pub fn run(&self, command: &str) -> Result<String, String> {
        let binary = Path::new(env!("CARGO_BIN_EXE_cb-lab"));
        let examples = binary.parent().expect("a binary lies in a folder").join("examples");
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {}\n}} 2>&1", command.trim_end())])
            .current_dir(root())
            .env("PATH", &self.path)
            .env("CB_LAB_BINARY", binary)
            .env("CB_LAB_EXAMPLES", examples)
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            // Commands may write there, and Vulkan loaders complain where the second is unset.
            .env("TMPDIR", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() { Ok(printed) } else { Err(format!("{}, after:\n{printed}", output.status)) }
    }
}

/// The first line shown that is not what was printed. Nothing shown is nothing claimed.
pub fn difference(shown: &str, printed: &str) -> Option<String> {
    let mut printed = printed.lines().map(comparable).filter(|line| !line.is_empty()).peekable();
    let mut may_skip = false;
    for line in shown.lines().filter(|line| !line.trim().is_empty()) {
        if line == "..." {
            may_skip = true;
            continue;
        }
        let wanted = comparable(line);
        let found = if may_skip { printed.any(|line| line == wanted) } else { printed.next_if_eq(&wanted).is_some() };
        if !found {
            let instead = printed.peek().map_or(String::new(), |instead| format!(", but `{instead}`"));
            return Some(format!("`{wanted}` is not printed{instead}"));
        }
        may_skip = false;
    }
    let rest = printed.next().filter(|_| !shown.trim().is_empty() && !may_skip)?;
    Some(format!("`{rest}` is printed and not shown"))
}

/// A line without what depends on the machine: measurements, the device, how widely columns are spaced.
fn comparable(line: &str) -> String {
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.starts_with("running on ") {
        return "running on".into();
    }
    let measurement = Regex::new(r"-?\d+\.\d+(?:e-?\d+)?").expect("a regex");
    measurement.replace_all(&words, "0.0").into_owned()
}

/// The comparison itself.
pub fn finds_what_it_is_for() -> Result<(), String> {
    let printed = "running on GPU 7\nstep 1\nrow  3  0.25\nend\n";
    let same =
        ["", "running on the CPU\n\nstep 1\nrow 3 17.5\nend\n", "...\nrow 3 0.1\n...\n", "running on\n...\nend\n"];
    for shown in same {
        if let Some(what) = difference(shown, printed) {
            return Err(format!("{shown:?}: {what}"));
        }
    }
    let other =
        ["step 1\n", "running on\nstep 2\n...\n", "...\nrow 4 0.25\n...\n", "running on\nstep 1\n", "...\nend\nmore\n"];
    match other.into_iter().find(|shown| difference(shown, printed).is_none()) {
        Some(shown) => Err(format!("{shown:?} passes for {printed:?}")),
        None => Ok(()),
    }
}
