//! `--record FILE`: the event log of a run, written line by line, so that a run that dies leaves one, too. `--trace FILE`:
//! the same as a trace, which is one JSON object and so is written at the end.

use super::open_file::OpenFile;
use crate::backend::Backend;
use crate::engine::{DeviceEngine, StepReport};
use crate::error::{Error, Result};
use crate::ids::RequestId;
use crate::model::ModelFolder;
use crate::observe::trace::trace;
use crate::observe::{Entry, Recorder, Recording, Run, VERSION};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

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

impl RecordArgs {
    /// Opens the files, before anything that takes long. What is in them stays until a run begins.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there can be no such file.
    pub fn open(&self) -> Result<OpenRecords> {
        if self.record.is_some() && self.record == self.trace {
            let value = self.trace.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
            let reason = "the log of the run is written there; name another file".into();
            return Err(Error::InvalidOption { option: "trace", value, reason });
        }
        let open = |option, path: &Option<PathBuf>| path.as_deref().map(|path| OpenFile::new(option, path)).transpose();
        Ok(OpenRecords { record: open("record", &self.record)?, trace: open("trace", &self.trace)? })
    }
}

/// Files for a run that has not begun.
#[derive(Default)]
pub struct OpenRecords {
    record: Option<OpenFile>,
    trace: Option<OpenFile>,
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
    /// [`Error::WriteFile`] if it cannot be written.
    pub fn create<B: Backend>(files: OpenRecords, model: &ModelFolder, engine: &mut DeviceEngine<B>) -> Result<Self> {
        let (model, backend) = (model.path().display().to_string(), engine.runner_mut().device_mut().1.name());
        let run = Run { version: VERSION, model, backend, config: engine.scheduler().config().clone() };
        let out = files.record.map(OpenFile::begin).transpose()?;
        let traced = files.trace.map(OpenFile::begin).transpose()?;
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
