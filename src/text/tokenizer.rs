//! tokenizer.json: text to token ids and back.

use super::guard::catch_panic;
use super::pattern;
use super::token_files::TokenFiles;
use crate::error::{Error, Result};
use crate::files::ModelFolder;
use crate::ids::TokenId;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::convert::identity;
use tokenizers::ModelWrapper;

const FILE: &str = "tokenizer.json";

/// The parts of tokenizer.json that may have regular expressions.
const WITH_PATTERNS: [&str; 3] = ["normalizer", "pre_tokenizer", "decoder"];

/// A whole tokenizer.json, with every regular expression as this build reads it.
fn with_patterns_rewritten(mut parts: BTreeMap<String, Box<RawValue>>) -> Result<Vec<u8>, String> {
    for name in WITH_PATTERNS {
        let Some(part) = parts.get_mut(name) else { continue };
        let mut json: Json = serde_json::from_str(part.get()).map_err(|error| error.to_string())?;
        if rewrite_patterns(&mut json).map_err(|reason| format!("{name}: {reason}"))? {
            *part = serde_json::value::to_raw_value(&json).map_err(|error| error.to_string())?;
        }
    }
    serde_json::to_vec(&parts).map_err(|error| error.to_string())
}

/// Rewrites every `{"Regex": "…"}`. Whether any is another now.
fn rewrite_patterns(part: &mut Json) -> Result<bool, String> {
    let mut changed = false;
    match part {
        Json::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Json::String(pattern) if key == "Regex" => {
                        let rewritten = pattern::for_fancy_regex(pattern)
                            .map_err(|reason| format!("the pattern {pattern:?} cannot be used: {reason}"))?;
                        changed |= *pattern != rewritten;
                        *pattern = rewritten;
                    }
                    _ => changed |= rewrite_patterns(value)?,
                }
            }
        }
        Json::Array(elements) => {
            for element in elements {
                changed |= rewrite_patterns(element)?;
            }
        }
        _ => (),
    }
    Ok(changed)
}

/// A model's tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Reads tokenizer.json, and what the files beside it say of tokens.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if it cannot be read, [`Error::InvalidFile`] if it is no tokenizer, or another file makes no
    /// sense.
    pub fn open(folder: &ModelFolder) -> Result<Self> {
        let invalid = |reason| Error::InvalidFile { path: folder.file_path(FILE), reason };
        // tokenizers panics on some texts that are no JSON.
        let json = with_patterns_rewritten(folder.read_json(FILE)?).map_err(invalid)?;
        let parse = || tokenizers::Tokenizer::from_bytes(json).map_err(|error| error.to_string());
        let mut inner = catch_panic(parse, identity)
            .map_err(|error| invalid(format!("it is not a tokenizer this engine can read: {error}")))?;
        // Settings of the last training run that some models were saved with. Nothing is ever cut off, filled up or left
        // to chance here.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
        if let ModelWrapper::BPE(bpe) = inner.get_model()
            && bpe.dropout.is_some()
        {
            let mut bpe = bpe.clone();
            bpe.dropout = None;
            inner.with_model(bpe);
        }
        let files = TokenFiles::open(folder)?;
        catch_panic(|| files.add_to(&mut inner), identity)
            .map_err(|error| invalid(format!("with the tokens of the files beside it: {error}")))?;
        Ok(Self { inner })
    }

    /// The ids of a plain prompt, with the special tokens the model wants around it (such as `<s>`).
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer gives up on it.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>> {
        self.encode_with(text, true)
    }

    /// The ids of what a chat template rendered: it has written the special tokens already.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_rendered(&self, text: &str) -> Result<Vec<TokenId>> {
        self.encode_with(text, false)
    }

    fn encode_with(&self, text: &str, add_special_tokens: bool) -> Result<Vec<TokenId>> {
        // A regular expression that takes too many steps back ends a split early: fancy-regex stops after a million.
        let encode = || self.inner.encode_fast(text, add_special_tokens).map_err(|error| error.to_string());
        let encoding = catch_panic(encode, identity)
            .map_err(|error| Error::Tokenizer(format!("cannot encode the text: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of `ids`, without special tokens. Bytes that are no UTF-8 become U+FFFD; unknown ids are skipped.
    /// For ids that come one by one, see [`crate::text::Detokenizer`].
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer gives up on them.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String> {
        // Some decoders cannot take an empty list.
        if !ids.iter().any(|id| self.is_visible(*id)) {
            return Ok(String::new());
        }
        let decode = || self.inner.decode(ids, true).map_err(|error| error.to_string());
        catch_panic(decode, identity).map_err(|error| Error::Tokenizer(format!("cannot decode the tokens: {error}")))
    }

    /// Entries of the vocabulary, added tokens included. The model's `vocab_size` may be larger (padding).
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Whether `id` adds to decoded text: it is known and no special token.
    pub fn is_visible(&self, id: TokenId) -> bool {
        let token = self.inner.id_to_token(id);
        token.is_some_and(|token| !self.inner.get_added_vocabulary().is_special_token(&token))
    }

    /// The special token that is written so, such as `<|im_end|>`. Decoded text never holds it.
    pub fn special_token(&self, text: &str) -> Option<TokenId> {
        self.inner.token_to_id(text).filter(|_| self.inner.get_added_vocabulary().is_special_token(text))
    }

    /// Whether `id` is a byte token of a sentencepiece vocabulary, such as `<0xE2>`. What a run of them means is known
    /// only when it ends: the decoder takes the run as a whole.
    pub fn is_byte(&self, id: TokenId) -> bool {
        let token = self.inner.id_to_token(id).unwrap_or_default();
        let hex = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        hex.is_some_and(|hex| hex.len() == 2 && u8::from_str_radix(hex, 16).is_ok())
    }
}
