//! A model folder that was opened and checked: everything about it that can be wrong is known before any device memory is
//! taken.

use crate::error::{Error, Result};
use crate::files::{ModelFolder, WeightFiles};
use crate::model::ModelConfig;
use crate::text::chat_template::ChatTemplate;
use crate::text::tokenizer::Tokenizer;

/// What a model folder holds.
pub struct LoadedFolder {
    /// The model's shape.
    pub config: ModelConfig,
    /// Its weights, still on disk.
    pub files: WeightFiles,
    /// Text to tokens and back.
    pub tokenizer: Tokenizer,
    /// Messages to text, if the model is for chat; or why its template cannot be compiled. Plain prompts need none.
    pub chat_template: Option<Result<ChatTemplate, String>>,
    /// Lines for people: what the files have that is not as config.json says, or that nobody reads.
    pub notes: Vec<String>,
}

impl LoadedFolder {
    /// Opens and checks a folder.
    ///
    /// # Errors
    /// Names each file, and where it applies the key or the tensors, that is missing or wrong. A chat template that cannot
    /// be compiled is none: whoever wants to use it is told.
    pub async fn open(folder: &ModelFolder) -> Result<Self> {
        let mut errors = Vec::new();
        let config = match ModelConfig::open(folder) {
            // What has no config.json is no model folder, and lacks all else, too.
            Err(error @ Error::ReadFile { .. }) => return Err(error),
            config => kept(config, &mut errors),
        };
        let files = kept(WeightFiles::open(folder).await, &mut errors);
        let tokenizer = kept(Tokenizer::open(folder), &mut errors);
        let model = match config.zip(files) {
            Some((mut config, files)) => {
                let notes = kept(config.settle(&files).await, &mut errors);
                notes.map(|notes| (config, files, notes))
            }
            None => None,
        };
        let Some(((config, files, notes), tokenizer)) = model.zip(tokenizer) else {
            return Err(Error::all(errors));
        };
        let chat_template = match ChatTemplate::open(folder) {
            Ok(template) => template.map(Ok),
            Err(Error::ChatTemplate(reason)) => Some(Err(reason)),
            Err(error) => return Err(error),
        };
        Ok(Self { config, files, tokenizer, chat_template, notes })
    }
}

/// What came out, or nothing and one error more.
fn kept<T>(result: Result<T>, errors: &mut Vec<Error>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}
