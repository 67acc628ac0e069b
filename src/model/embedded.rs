//! The default model, inside the binary: an ordinary model folder that the ordinary loader reads.

use super::folder::ModelFolder;

macro_rules! embed {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../tests/fixtures/smollm2/", $file)))),*]
    };
}

const FILES: &[(&str, &[u8])] = embed![
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
];

/// The folder used when none is named. Its weights are random for now: it shows the machinery and speaks no language.
pub fn default_model() -> ModelFolder {
    ModelFolder::embedded("the embedded model", FILES)
}
