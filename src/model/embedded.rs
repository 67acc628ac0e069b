//! The default model, inside the binary: an ordinary model folder that the ordinary loader reads.

use crate::files::ModelFolder;

macro_rules! embed {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../models/tiny/", $file)))),*]
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

/// The folder used when none is named: it tells short stories for children. models/tiny/README.md says how it was made.
pub fn default_model() -> ModelFolder {
    ModelFolder::embedded("models/tiny", FILES)
}
