//! Text from tokens that come one by one. The pieces put together are exactly what decoding all tokens at once gives.
//!
//! A token alone cannot be decoded: it may hold a part of a character, and decoders treat the first token specially
//! (sentencepiece drops its leading space). So a window of the last tokens is decoded, and what follows the text already
//! given out is new. An output continues its prompt: the window begins with the prompt's last tokens, so that the first
//! word of the output keeps its space.
//!
//! ```text
//! ids     [.. given out and forgotten ..)[.. given out, kept as context ..)[.. not yet given out ..)
//!                                         window[0..num_given]              window[num_given..]
//! ```
//!
//! This is how the `tokenizers` crate streams, too (`DecodeStream`). That one loses a space after a special token in the
//! middle of a text and fails on byte tokens that turn out not to be UTF-8, hence this one.

use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};
use crate::ids::TokenId;

/// What a decoder puts where bytes are not (or not yet) a character.
const REPLACEMENT: char = '\u{FFFD}';
/// Tokens of the prompt that are decoded again with the output. One is enough for a space; some decode to nothing.
const CONTEXT_TOKENS: usize = 8;

/// The state of one output stream.
#[derive(Clone, Debug, Default)]
pub struct Detokenizer {
    /// The last visible tokens.
    window: Vec<TokenId>,
    /// How many of them have been given out.
    num_given: usize,
    /// What those decode to.
    given: String,
}

impl Detokenizer {
    /// A stream that continues `prompt`: its text is what decoding prompt and output together adds to the prompt's text.
    /// Where the prompt ends inside a character, the output does not go on with it: what was shown cannot be taken back.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer cannot decode.
    pub fn after(tokenizer: &Tokenizer, prompt: &[TokenId]) -> Result<Self> {
        // A run of byte tokens means something as a whole only: one that ends the prompt is not for the output to go on with.
        let visible = prompt.iter().rev().copied().filter(|id| tokenizer.is_visible(*id));
        let mut window: Vec<TokenId> = visible.skip_while(|id| tokenizer.is_byte(*id)).take(CONTEXT_TOKENS).collect();
        window.reverse();
        let mut given = tokenizer.decode(&window)?;
        // So is a character that the prompt does not end.
        while given.ends_with(REPLACEMENT) && window.pop().is_some() {
            given = tokenizer.decode(&window)?;
        }
        Ok(Self { num_given: window.len(), window, given })
    }

    /// Takes the next token and returns the text that is now certain; often all of the token, sometimes nothing.
    ///
    /// Held back are the bytes of an unfinished character, and a run of sentencepiece byte tokens until it ends.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer cannot decode, or takes text back that was given out.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: TokenId) -> Result<String> {
        if !tokenizer.is_visible(id) {
            return Ok(String::new());
        }
        self.window.push(id);
        if tokenizer.is_byte(id) {
            return Ok(String::new());
        }
        let text = tokenizer.decode(&self.window)?;
        let new_text = self.after_given(&text)?.to_owned();
        if new_text.ends_with(REPLACEMENT) {
            return Ok(String::new());
        }
        let context = tokenizer.decode(&self.window[self.num_given..])?;
        // Context must decode to something: only then does it shield the tokens after it from being "first".
        if context.is_empty() {
            self.given = text;
        } else {
            self.given = context;
            self.window.drain(..self.num_given);
        }
        self.num_given = self.window.len();
        Ok(new_text)
    }

    /// Returns what was held back, with U+FFFD where a character was never finished. The stream can then begin anew.
    ///
    /// # Errors
    /// As [`Detokenizer::push`].
    pub fn finish(&mut self, tokenizer: &Tokenizer) -> Result<String> {
        let text = tokenizer.decode(&self.window)?;
        let new_text = self.after_given(&text)?.to_owned();
        *self = Self::default();
        Ok(new_text)
    }

    /// The part of the window's text that was not given out yet.
    fn after_given<'text>(&self, text: &'text str) -> Result<&'text str> {
        let Self { given, .. } = self;
        let new_text = text.strip_prefix(given.as_str());
        new_text.ok_or_else(|| Error::Tokenizer(format!("{given:?} was given out and has become {text:?}")))
    }
}
