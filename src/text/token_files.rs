//! What the files beside tokenizer.json say of tokens: tokenizer_config.json, special_tokens_map.json and added_tokens.json.
//!
//! Read as transformers 5 reads them. If tokenizer_config.json has `added_tokens_decoder`, the other two do not matter. Of
//! two tokens under one name the one of special_tokens_map.json counts. Tokens that tokenizer.json lacks, or has with
//! other properties, are added to it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use tokenizers::{AddedToken, Tokenizer};

use crate::error::{Error, Result};
use crate::files::ModelFolder;
use crate::ids::TokenId;

const CONFIG_FILE: &str = "tokenizer_config.json";
const MAP_FILE: &str = "special_tokens_map.json";
const ADDED_FILE: &str = "added_tokens.json";

/// The names that each tokenizer may use, in the order in which their tokens are added. Tokens under other names follow
/// in the order of these names.
const NAMES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The files, put together.
pub(super) struct TokenFiles {
    /// tokenizer_config.json.
    pub config: Map<String, Json>,
    /// Special tokens by name, such as `eos_token`.
    named: BTreeMap<String, AddedToken>,
    /// Special tokens without a name.
    unnamed: Vec<AddedToken>,
    /// Tokens, special or not, by the id that they are said to have.
    added: BTreeMap<TokenId, AddedToken>,
    /// Whether tokenizer.json's token of an id counts and not that of `added`.
    added_yields: bool,
}

impl TokenFiles {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] names the file, and the key that has no token where one is expected.
    pub fn open(folder: &ModelFolder) -> Result<Self> {
        let config = read(folder, CONFIG_FILE)?;
        let decoder = config.get("added_tokens_decoder");
        let mut files = Self {
            named: BTreeMap::new(),
            unnamed: Vec::new(),
            added: BTreeMap::new(),
            added_yields: decoder.is_none(),
            config: Map::new(),
        };
        let in_file = |name| move |reason| Error::InvalidFile { path: folder.file_path(name), reason };
        files.take_special(&config).map_err(in_file(CONFIG_FILE))?;
        match decoder {
            Some(decoder) => files.take_decoder(decoder).map_err(in_file(CONFIG_FILE))?,
            None => {
                files.take_special(&read(folder, MAP_FILE)?).map_err(in_file(MAP_FILE))?;
                files.take_added(&read(folder, ADDED_FILE)?).map_err(in_file(ADDED_FILE))?;
            }
        }
        files.config = config;
        Ok(files)
    }

    /// The special tokens of `settings`. They replace earlier ones of the same name.
    fn take_special(&mut self, settings: &Map<String, Json>) -> Result<(), String> {
        for (key, value) in settings.iter().filter(|(key, _)| key.ends_with("_token")) {
            match token(value, true) {
                Some(token) => drop(self.named.insert(key.clone(), token)),
                None if value.is_null() => drop(self.named.remove(key)),
                // Other settings end so, too: `add_bos_token` is true or false.
                None if NAMES.contains(&key.as_str()) => return Err(no_token(key, value)),
                None => (),
            }
        }
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            match settings.get(key) {
                Some(Json::Object(tokens)) => {
                    self.unnamed.clear();
                    for (name, value) in tokens {
                        self.named.insert(name.clone(), token(value, true).ok_or_else(|| no_token(name, value))?);
                    }
                }
                // The second key is the old name of the first.
                Some(Json::Array(tokens)) if key == "extra_special_tokens" || self.unnamed.is_empty() => {
                    for value in tokens {
                        let token = token(value, true).ok_or_else(|| no_token(key, value))?;
                        self.unnamed.push(token);
                    }
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// `added_tokens_decoder`: ids and their tokens.
    fn take_decoder(&mut self, decoder: &Json) -> Result<(), String> {
        let key = "added_tokens_decoder";
        let entries = decoder.as_object().ok_or_else(|| no_token(key, decoder))?;
        for (id, value) in entries {
            let id: TokenId = id.parse().map_err(|_| format!("{key} has a token with the id {id:?}"))?;
            let token = token(value, false).filter(|_| value.is_object());
            self.added.insert(id, token.ok_or_else(|| no_token(key, value))?);
        }
        Ok(())
    }

    /// added_tokens.json: texts and their ids.
    fn take_added(&mut self, ids: &Map<String, Json>) -> Result<(), String> {
        for (text, id) in ids {
            let parsed = id.as_u64().and_then(|id| TokenId::try_from(id).ok());
            let parsed = parsed.ok_or_else(|| format!("the token {text:?} has the id {id}"))?;
            let special = self.named.values().chain(&self.unnamed).any(|token| token.content == *text);
            self.added.insert(parsed, AddedToken::from(text.as_str(), special));
        }
        Ok(())
    }

    /// The texts of special tokens that have a name, for chat templates.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().map(|(name, token)| (name.as_str(), token.content.as_str()))
    }

    /// Adds to a tokenizer what it lacks.
    ///
    /// # Errors
    /// The tokenizer's own words if it cannot normalize a token.
    pub fn add_to(self, tokenizer: &mut Tokenizer) -> Result<(), String> {
        let Self { named, unnamed, mut added, .. } = self;
        let known = tokenizer.get_added_tokens_decoder();
        if self.added_yields {
            added.retain(|id, _| !known.contains_key(id));
        }
        let known: BTreeMap<&str, &AddedToken> = known.values().map(|token| (token.content.as_str(), token)).collect();
        let mut missing: Vec<AddedToken> =
            added.into_values().filter(|token| known.get(token.content.as_str()) != Some(&token)).collect();
        let order = |name: &str| NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len());
        let mut special: Vec<(String, AddedToken)> = named.into_iter().collect();
        special.sort_by_key(|(name, _)| order(name));
        for (_, token) in &special {
            match missing.iter_mut().find(|missing| missing.content == token.content) {
                Some(missing) => missing.special = true,
                None if known.contains_key(token.content.as_str()) => (),
                None => missing.push(token.clone()),
            }
        }
        for token in unnamed {
            let text = token.content.as_str();
            if !known.contains_key(text) && !missing.iter().any(|missing| missing.content == text) {
                missing.push(token);
            }
        }
        tokenizer.add_tokens(missing).map(drop).map_err(|error| error.to_string())
    }
}

fn read(folder: &ModelFolder, name: &str) -> Result<Map<String, Json>> {
    folder.read_json_optional(name).map(Option::unwrap_or_default)
}

/// The token that `value` stands for: its text, or an object with `content` and properties. `special` is for where the
/// object does not say.
fn token(value: &Json, special: bool) -> Option<AddedToken> {
    let text = value.as_str().or_else(|| value["content"].as_str())?;
    let flag = |key: &str, default| value[key].as_bool().unwrap_or(default);
    let special = flag("special", special);
    let token = AddedToken::from(text, special).single_word(flag("single_word", false));
    let token = token.lstrip(flag("lstrip", false)).rstrip(flag("rstrip", false));
    Some(token.normalized(flag("normalized", !special)))
}

fn no_token(key: &str, value: &Json) -> String {
    format!("{key} has {value} where a token is expected: a text, or an object with content")
}
