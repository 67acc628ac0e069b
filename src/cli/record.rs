//! `--record FILE`: the event log of a run, written line by line, so that a run that dies leaves one, too. `--trace FILE`:
//! the same as a trace, which is one JSON object and so is written at the end.

use crate::backend::Backend;
use crate::engine::{DeviceEngine, StepReport};
use crate::error::{Error, Result};
use crate::ids::RequestId;
use crate::model::ModelFolder;
use crate::observe::trace::trace;
use crate::observe::{Entry, Recorder, Recording, Run, VERSION};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where a run is to be recorded.
#[derive(clap::Args)]
pub struct RecordArgs {
    /// Write what each step did, and why, to this file: a JSON object per line
    #[arg(long, value_name = "FILE.jsonl")]
    pub record: Option<PathBuf>,
    /// Write steps, requests and, on a GPU that can, the time of each kernel to this file, for ui.perfetto.dev
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,
}

/// A log and a trace being written, or none.
pub struct RecordFile {
    out: Option<(BufWriter<File>, PathBuf)>,
    /// What the trace will be made of.
    traced: Option<(Recording, BufWriter<File>, PathBuf)>,
    recorder: Recorder,
}

impl RecordFile {
    /// Begins the log of an engine that has no requests yet. Without a path nothing is written, here and below.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there can be no such file; [`Error::WriteFile`] if it cannot be written.
    pub fn create<B: Backend>(args: &RecordArgs, model: &ModelFolder, engine: &mut DeviceEngine<B>) -> Result<Self> {
        let (model, backend) = (model.path().display().to_string(), engine.runner_mut().device_mut().1.name());
        let run = Run { version: VERSION, model, backend, config: engine.scheduler().config().clone() };
        if args.record.is_some() && args.record == args.trace {
            let value = args.trace.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
            let reason = "the log of the run is written there; name another file".into();
            return Err(Error::InvalidOption { option: "trace", value, reason });
        }
        let out = args.record.as_deref().map(|path| create("record", path)).transpose()?;
        let traced = args.trace.as_deref().map(|path| create("trace", path)).transpose()?;
        let traced = traced.map(|(file, path)| (Recording::new(run.clone()), file, path));
        let recorder = Recorder::new(&run.config);
        let mut file = Self { out, traced, recorder };
        file.write_line(&Entry::Run(run))?;
        Ok(file)
    }

    /// A request was submitted.
    ///
    /// # Errors
    /// [`Error::WriteFile`]
    pub fn submitted<B: Backend>(&mut self, engine: &DeviceEngine<B>, id: RequestId) -> Result<()> {
        let Some(sequence) = engine.scheduler().get(id) else { return Ok(()) };
        let request = sequence.request();
        let (prompt_len, max_new_tokens) = (request.prompt_token_ids.len(), request.params.max_new_tokens);
        let entry = self.recorder.submitted(id, prompt_len, max_new_tokens, engine.now());
        self.write(&entry)
    }

    /// A step was computed.
    ///
    /// # Errors
    /// [`Error::WriteFile`]
    pub fn step<B: Backend>(&mut self, report: &StepReport, engine: &mut DeviceEngine<B>) -> Result<()> {
        if self.out.is_none() && self.traced.is_none() {
            return Ok(());
        }
        let mut entry = self.recorder.step(report);
        if let Entry::Step(step) = &mut entry {
            step.kernels = engine.runner_mut().device_mut().1.take_kernel_times();
        }
        self.write(&entry)
    }

    /// Writes the trace.
    ///
    /// # Errors
    /// [`Error::WriteFile`]
    pub fn finish(self) -> Result<()> {
        let Some((recording, mut out, path)) = self.traced else { return Ok(()) };
        let written = writeln!(out, "{}", trace(&recording)).and_then(|()| out.flush());
        written.map_err(|source| Error::WriteFile { path, source })
    }

    fn write(&mut self, entry: &Entry) -> Result<()> {
        if let Some((recording, ..)) = &mut self.traced {
            recording.push(entry.clone());
        }
        self.write_line(entry)
    }

    fn write_line(&mut self, entry: &Entry) -> Result<()> {
        let Some((out, path)) = &mut self.out else { return Ok(()) };
        let written = writeln!(out, "{}", entry.to_json()).and_then(|()| out.flush());
        // Of its own kind: nobody at the other end of stdout is no failure, a log that is not written is.
        written.map_err(|source| Error::WriteFile { path: path.clone(), source })
    }
}

fn create(option: &'static str, path: &Path) -> Result<(BufWriter<File>, PathBuf)> {
    match File::create(path) {
        Ok(file) => Ok((BufWriter::new(file), path.to_path_buf())),
        Err(error) => {
            let (value, reason) = (path.display().to_string(), format!("it cannot be written: {error}"));
            Err(Error::InvalidOption { option, value, reason })
        }
    }
}
