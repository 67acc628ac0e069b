//! Text to tokens, tokens to text, and messages to a prompt.

pub mod chat_template;
pub mod detokenizer;
mod guard;
mod python_json;
pub mod stop;
pub mod tokenizer;

pub use chat_template::{ChatTemplate, Message};
pub use detokenizer::Detokenizer;
pub use stop::StopMatcher;
pub use tokenizer::Tokenizer;
