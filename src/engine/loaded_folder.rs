//! A model folder that was opened and checked: everything about it that can be wrong is known before any device memory is
//! taken.

use crate::error::Result;
use crate::model::{ModelConfig, ModelFolder, WeightFiles};
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
    /// Messages to text, if the model is for chat.
    pub chat_template: Option<ChatTemplate>,
}

impl LoadedFolder {
    /// Opens and checks a folder.
    ///
    /// # Errors
    /// Names the file, and where it applies the key or the tensor, that is missing or wrong.
    pub fn open(folder: &ModelFolder) -> Result<Self> {
        let config = ModelConfig::open(folder)?;
        let files = WeightFiles::open(folder)?;
        files.check_all(&config)?;
        let tokenizer = Tokenizer::open(folder)?;
        let chat_template = ChatTemplate::open(folder)?;
        Ok(Self { config, files, tokenizer, chat_template })
    }
}
