//! A model folder that was opened and checked: everything about it that can be wrong is known before any device memory is
//! taken.

use crate::error::{Error, Result};
use crate::files::{ModelFolder, WeightFiles};
use crate::model::{ModelConfig, TensorTable};
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
}

impl LoadedFolder {
    /// Opens and checks a folder.
    ///
    /// # Errors
    /// Names the file, and where it applies the key or the tensor, that is missing or wrong. A chat template that cannot
    /// be compiled is none: whoever wants to use it is told.
    pub async fn open(folder: &ModelFolder) -> Result<Self> {
        let config = ModelConfig::open(folder)?;
        let files = WeightFiles::open(folder).await?;
        TensorTable::new(&config).check(&files)?;
        let tokenizer = Tokenizer::open(folder)?;
        let chat_template = match ChatTemplate::open(folder) {
            Ok(template) => template.map(Ok),
            Err(Error::ChatTemplate(reason)) => Some(Err(reason)),
            Err(error) => return Err(error),
        };
        Ok(Self { config, files, tokenizer, chat_template })
    }
}
