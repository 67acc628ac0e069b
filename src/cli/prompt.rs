//! One prompt, however it was given, and its way to tokens.

use crate::engine::loaded_folder::LoadedFolder;
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::text::Message;

/// The three ways to give a prompt.
#[derive(Debug)]
pub enum Prompt {
    /// Plain text.
    Text(String),
    /// Tokens.
    TokenIds(Vec<TokenId>),
    /// A conversation for the model's chat template.
    Messages(Vec<Message>),
}

impl Prompt {
    /// The prompt as tokens.
    ///
    /// # Errors
    /// [`Error::RequestRefused`] if it is empty, has no token or the model has no chat template; what tokenizer or template
    /// report.
    pub fn encode(&self, folder: &LoadedFolder) -> Result<Vec<TokenId>> {
        let tokenizer = &folder.tokenizer;
        match self {
            // Some tokenizers begin every text with a token of their own, so the text itself is looked at.
            Self::Text(text) if text.is_empty() => {
                Err(Error::RequestRefused("the prompt is empty: give at least one character".into()))
            }
            Self::Text(text) => {
                let token_ids = tokenizer.encode(text)?;
                // A text of special tokens alone is one, too: they are asked for in the text.
                let has_text = token_ids.iter().any(|&id| tokenizer.is_visible(id));
                if !has_text && tokenizer.encode_rendered(text)?.is_empty() {
                    let reason = "nothing in the prompt has a token in this model's vocabulary: give another text";
                    return Err(Error::RequestRefused(reason.into()));
                }
                Ok(token_ids)
            }
            Self::TokenIds(token_ids) => Ok(token_ids.clone()),
            Self::Messages(messages) if messages.is_empty() => {
                Err(Error::RequestRefused("messages is empty: give at least one message".into()))
            }
            Self::Messages(messages) => {
                let no_template = || {
                    Error::RequestRefused("this model has no chat template: give a prompt instead of messages".into())
                };
                let template = folder.chat_template.as_ref().ok_or_else(no_template)?;
                let template = template.as_ref().map_err(|reason| Error::ChatTemplate(reason.clone()))?;
                tokenizer.encode_rendered(&template.render(messages, true)?)
            }
        }
    }

    /// A line to recognise it by.
    pub fn title(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::TokenIds(token_ids) => format!("{} tokens", token_ids.len()),
            Self::Messages(messages) => messages.last().map_or(String::new(), Message::text),
        }
    }
}
