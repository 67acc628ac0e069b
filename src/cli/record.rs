//! `--record FILE`: the event log of a run, written line by line, so that a run that dies leaves one, too.

use crate::backend::Backend;
use crate::engine::record::{Entry, Recorder, Run, VERSION};
use crate::engine::{Engine, StepReport};
use crate::error::{Error, Result};
use crate::ids::RequestId;
use crate::model::ModelFolder;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use web_time::Instant;

/// A log being written, or none.
pub struct RecordFile {
    out: Option<(BufWriter<File>, PathBuf)>,
    recorder: Recorder,
    begin: Instant,
    step_began_ms: f64,
}

impl RecordFile {
    /// Begins the log of an engine that has no requests yet. Without a path nothing is written, here and below.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there can be no such file; [`Error::WriteFile`] if it cannot be written.
    pub fn create<B: Backend>(path: Option<&Path>, model: &ModelFolder, engine: &mut Engine<B>) -> Result<Self> {
        let create = |path: &Path| match File::create(path) {
            Ok(file) => Ok((BufWriter::new(file), path.to_path_buf())),
            Err(error) => {
                let (value, reason) = (path.display().to_string(), format!("it cannot be written: {error}"));
                Err(Error::InvalidOption { option: "record", value, reason })
            }
        };
        let out = path.map(create).transpose()?;
        let mut file = Self { out, recorder: Recorder::default(), begin: Instant::now(), step_began_ms: 0.0 };
        let (model, backend) = (model.path().display().to_string(), engine.device_mut().1.name());
        file.write(&Entry::Run(Run { version: VERSION, model, backend, limits: engine.scheduler().config().clone() }))?;
        Ok(file)
    }

    /// A request was submitted.
    ///
    /// # Errors
    /// [`Error::WriteFile`]
    pub fn submitted<B: Backend>(&mut self, engine: &Engine<B>, id: RequestId) -> Result<()> {
        let entry = self.recorder.submitted(engine.scheduler(), id, self.now_ms());
        entry.map_or(Ok(()), |entry| self.write(&entry))
    }

    /// A step is about to be computed.
    pub fn begin_step(&mut self) {
        self.step_began_ms = self.now_ms();
    }

    /// A step was computed.
    ///
    /// # Errors
    /// [`Error::WriteFile`]
    pub fn step<B: Backend>(&mut self, report: &StepReport, engine: &Engine<B>) -> Result<()> {
        let ms = self.now_ms() - self.step_began_ms;
        if self.out.is_none() {
            return Ok(());
        }
        let entry = self.recorder.step(report, engine.batch(), engine.scheduler(), self.step_began_ms, ms);
        self.write(&entry)
    }

    fn now_ms(&self) -> f64 {
        self.begin.elapsed().as_secs_f64() * 1e3
    }

    fn write(&mut self, entry: &Entry) -> Result<()> {
        let Some((out, path)) = &mut self.out else { return Ok(()) };
        let written = writeln!(out, "{}", entry.to_json()).and_then(|()| out.flush());
        // Of its own kind: nobody at the other end of stdout is no failure, a log that is not written is.
        written.map_err(|source| Error::WriteFile { path: path.clone(), source })
    }
}
