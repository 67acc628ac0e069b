//! The committed model folders and what transformers generates with them.

use cb_lab::backend::Backend;
use cb_lab::core::request::{FinishReason, SamplingParams};
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::{DeviceEngine, Engine};
use cb_lab::model::ModelFolder;
use serde::Deserialize;
use std::path::{Path, PathBuf};

pub const NAMES: [&str; 9] = ["llama", "llama3", "smollm2", "qwen2", "qwen3", "mistral", "phi3", "smollm3", "yarn"];

/// The model that is part of the binary, in the folder models.
pub const EMBEDDED: &str = "tiny";

/// A greedy continuation by transformers in f32.
#[derive(Clone, Deserialize)]
pub struct GoldenCase {
    pub name: String,
    pub prompt_token_ids: Vec<u32>,
    pub token_ids: Vec<u32>,
    pub logprobs: Vec<f32>,
    pub text: String,
    pub finish_reason: FinishReason,
    #[serde(default)]
    pub ignore_eos: bool,
}

impl GoldenCase {
    pub fn params(&self) -> SamplingParams {
        // A case that stops must be able to go on if its end is overlooked.
        let max_new_tokens = self.token_ids.len() + if self.finish_reason == FinishReason::Stop { 3 } else { 0 };
        SamplingParams { max_new_tokens, ignore_eos: self.ignore_eos, ..Default::default() }
    }
}

pub fn path(name: &str) -> PathBuf {
    let folder = if name == EMBEDDED { "models" } else { "tests/fixtures" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

pub fn golden_cases(name: &str) -> Vec<GoldenCase> {
    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<GoldenCase>,
    }
    let json = std::fs::read(path(name).join("golden.json")).expect("the fixture has a golden.json");
    serde_json::from_slice::<Golden>(&json).expect("golden.json has cases").cases
}

pub fn load(name: &str) -> LoadedFolder {
    let folder = ModelFolder::open(path(name)).expect("the folder exists");
    pollster::block_on(LoadedFolder::open(&folder)).expect("the folder is sound")
}

pub fn engine<B: Backend>(name: &str, backend: B, limits: &LimitOptions) -> DeviceEngine<B> {
    engine_of(load(name), backend, limits)
}

pub fn engine_of<B: Backend>(folder: LoadedFolder, backend: B, limits: &LimitOptions) -> DeviceEngine<B> {
    let limits = limits.resolve(&folder.config, backend.max_buffer_words()).expect("the limits work");
    pollster::block_on(Engine::new(backend, folder, limits)).expect("the engine starts")
}
