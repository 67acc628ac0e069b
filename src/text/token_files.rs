//! What the files beside tokenizer.json say of tokens: tokenizer_config.json, special_tokens_map.json and added_tokens.json.
//!
//! Read as transformers 5 reads them (`TokenizersBackend`; names that other tokenizer classes have by default are not
//! known here). If tokenizer_config.json has `added_tokens_decoder`, the other two files do not matter. Tokens that
//! tokenizer.json lacks, or has with other properties, are added to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use tokenizers::{AddedToken, Tokenizer};

use crate::error::{Error, Result};
use crate::files::ModelFolder;
use crate::ids::TokenId;

const CONFIG_FILE: &str = "tokenizer_config.json";
const MAP_FILE: &str = "special_tokens_map.json";
const ADDED_FILE: &str = "added_tokens.json";

/// The names that each tokenizer may use, in the order in which their tokens are added. A model may have others.
const NAMES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Special tokens without a name, and the older key for them.
const UNNAMED: &str = "extra_special_tokens";
const UNNAMED_OLD: &str = "additional_special_tokens";
/// Tokens by id.
const DECODER: &str = "added_tokens_decoder";

/// The files, put together.
#[derive(Default)]
pub(super) struct TokenFiles {
    /// tokenizer_config.json.
    pub config: Map<String, Json>,
    /// Special tokens by name, such as `eos_token`.
    named: Vec<Named>,
    /// Special tokens without a name. `None`: no file has a list of them.
    unnamed: Option<Vec<AddedToken>>,
    /// Tokens, special or not, by the id that they are said to have.
    by_id: BTreeMap<TokenId, AddedToken>,
}

struct Named {
    name: String,
    token: AddedToken,
    source: Source,
}

/// Where a name comes from that is a model's own. Tokens are added in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// special_tokens_map.json, or an object with the properties of a token.
    Implied,
    /// A text in tokenizer_config.json, or an object of names.
    Given,
}

impl TokenFiles {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] names the file, and the key that has no token where one is expected.
    pub fn open(folder: &ModelFolder) -> Result<Self> {
        let read = |name| folder.read_json_optional(name).map(Option::unwrap_or_default);
        let in_file = |name| move |reason| Error::InvalidFile { path: folder.file_path(name), reason };
        let config = read(CONFIG_FILE)?;
        let mut files = Self::default();
        files.take_config(&config).map_err(in_file(CONFIG_FILE))?;
        if !config.contains_key(DECODER) {
            let map = read(MAP_FILE)?;
            files.take_map(&map).map_err(in_file(MAP_FILE))?;
            files.take_added(&read(ADDED_FILE)?).map_err(in_file(ADDED_FILE))?;
            if files.unnamed.is_none() {
                files.unnamed = tokens(&map, UNNAMED_OLD).map_err(in_file(MAP_FILE))?;
            }
        }
        Ok(Self { config, ..files })
    }

    /// Takes what tokenizer_config.json says.
    fn take_config(&mut self, config: &Map<String, Json>) -> Result<(), String> {
        for (name, value) in config.iter().filter(|(name, _)| name.ends_with("_token")) {
            match special_token(value) {
                Some(token) if value.is_string() => self.name(name, token, Source::Given),
                Some(token) if is_general(name) || value["__type"] == "AddedToken" => {
                    self.name(name, token, Source::Implied);
                }
                // Other settings end so, too: `add_bos_token` is true or false.
                None if is_general(name) && !value.is_null() => return Err(no_token(name, value)),
                _ => (),
            }
        }
        self.name_all(config.get(UNNAMED))?;
        self.unnamed = tokens(config, UNNAMED)?;
        if self.unnamed.as_ref().is_none_or(Vec::is_empty) && config.contains_key(UNNAMED_OLD) {
            self.name_all(config.get(UNNAMED_OLD))?;
            self.unnamed = tokens(config, UNNAMED_OLD)?;
        }
        if self.named.iter().all(|named| is_general(&named.name) || named.source == Source::Implied) {
            self.name_all(config.get("model_specific_special_tokens"))?;
        }
        let Some(decoder) = config.get(DECODER) else { return Ok(()) };
        for (id, value) in decoder.as_object().ok_or_else(|| no_token(DECODER, decoder))? {
            let id: TokenId = id.parse().map_err(|_| format!("{DECODER} has a token with the id {id:?}"))?;
            let token = token(value).filter(|_| value.is_object());
            self.by_id.insert(id, token.ok_or_else(|| no_token(DECODER, value))?);
        }
        Ok(())
    }

    /// Takes what special_tokens_map.json says. It outweighs tokenizer_config.json for the names that all tokenizers have,
    /// and not for a model's own.
    fn take_map(&mut self, map: &Map<String, Json>) -> Result<(), String> {
        for (name, value) in map.iter().filter(|(name, _)| name.ends_with("_token")) {
            match special_token(value) {
                Some(token) if is_general(name) => self.name(name, token, Source::Given),
                Some(token) => match self.named.iter_mut().find(|named| named.name == *name) {
                    Some(known) => known.source = Source::Implied,
                    None => self.name(name, token, Source::Implied),
                },
                None if is_general(name) && value.is_null() => self.named.retain(|named| named.name != *name),
                None if is_general(name) => return Err(no_token(name, value)),
                _ => (),
            }
        }
        match map.get(UNNAMED) {
            Some(Json::Array(list)) => {
                let unnamed = self.unnamed.get_or_insert_default();
                for value in list {
                    unnamed.push(special_token(value).ok_or_else(|| no_token(UNNAMED, value))?);
                }
            }
            Some(other) => {
                self.name_all(Some(other))?;
                self.unnamed = tokens(map, UNNAMED)?;
            }
            None => (),
        }
        Ok(())
    }

    /// Takes what added_tokens.json says: texts and their ids.
    fn take_added(&mut self, ids: &Map<String, Json>) -> Result<(), String> {
        let named = self.named.iter().filter(|named| is_general(&named.name)).map(|named| &named.token);
        let special: BTreeSet<&str> = named.chain(self.unnamed.iter().flatten()).map(|token| &*token.content).collect();
        for (text, id) in ids {
            let parsed = id.as_u64().and_then(|id| TokenId::try_from(id).ok());
            let parsed = parsed.ok_or_else(|| format!("the token {text:?} has the id {id}"))?;
            self.by_id.insert(parsed, AddedToken::from(text.as_str(), special.contains(text.as_str())));
        }
        Ok(())
    }

    fn name(&mut self, name: &str, token: AddedToken, source: Source) {
        match self.named.iter_mut().find(|named| named.name == name) {
            Some(known) => (known.token, known.source) = (token, source),
            None => self.named.push(Named { name: name.to_owned(), token, source }),
        }
    }

    /// Takes an object of names and tokens. Anything else is passed over.
    fn name_all(&mut self, names: Option<&Json>) -> Result<(), String> {
        for (name, value) in names.and_then(Json::as_object).into_iter().flatten() {
            self.name(name, special_token(value).ok_or_else(|| no_token(name, value))?, Source::Given);
        }
        Ok(())
    }

    /// The texts of special tokens that have a name, for chat templates.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().map(|named| (named.name.as_str(), named.token.content.as_str()))
    }

    /// Adds to a tokenizer what it lacks or has otherwise.
    ///
    /// # Errors
    /// The tokenizer's own words if it cannot normalize a token.
    pub fn add_to(mut self, tokenizer: &mut Tokenizer) -> Result<(), String> {
        let known = tokenizer.get_added_tokens_decoder();
        if !self.config.contains_key(DECODER) {
            self.by_id.extend(known.iter().map(|(&id, token)| (id, token.clone())));
        }
        let mut added: Vec<AddedToken> = self.by_id.into_values().collect();
        let texts: BTreeSet<String> = known.values().chain(&added).map(|token| token.content.clone()).collect();
        let place = |name: &str| NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len());
        self.named.sort_by_key(|named| (place(&named.name), named.source));
        let names: BTreeSet<&str> = self.named.iter().map(|named| named.token.content.as_str()).collect();
        for token in added.iter_mut().filter(|token| names.contains(token.content.as_str())) {
            token.special = true;
        }
        // Of two with one text the properties of the last count.
        let special = self.named.iter().map(|named| &named.token).chain(self.unnamed.iter().flatten());
        added.extend(special.filter(|token| !texts.contains(&token.content)).cloned());
        tokenizer.add_tokens(added).map(drop).map_err(|error| error.to_string())
    }
}

fn is_general(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The list of tokens under a key, empty for null. `None` where the key is missing or has an object.
fn tokens(settings: &Map<String, Json>, key: &str) -> Result<Option<Vec<AddedToken>>, String> {
    match settings.get(key) {
        None | Some(Json::Object(_)) => Ok(None),
        Some(Json::Null) => Ok(Some(Vec::new())),
        Some(list) => {
            let values = list.as_array().ok_or_else(|| no_token(key, list))?;
            values
                .iter()
                .map(|value| token(value).ok_or_else(|| no_token(key, value)))
                .collect::<Result<_, _>>()
                .map(Some)
        }
    }
}

/// The token that `value` stands for: a text, which is special, or an object with `content` and properties.
fn token(value: &Json) -> Option<AddedToken> {
    if let Some(text) = value.as_str() {
        return Some(AddedToken::from(text, true));
    }
    let flag = |key: &str| value[key].as_bool();
    let special = flag("special").unwrap_or(false);
    let token = AddedToken::from(value["content"].as_str()?, special).single_word(flag("single_word").unwrap_or(false));
    let token = token.lstrip(flag("lstrip").unwrap_or(false)).rstrip(flag("rstrip").unwrap_or(false));
    Some(token.normalized(flag("normalized").unwrap_or(!special)))
}

/// The same where all are special, whatever the object says.
fn special_token(value: &Json) -> Option<AddedToken> {
    let mut value = value.clone();
    if let Json::Object(properties) = &mut value {
        properties.insert("special".into(), true.into());
    }
    token(&value)
}

fn no_token(key: &str, value: &Json) -> String {
    format!("{key} has {value} where a token is expected: a text, or an object with content")
}
