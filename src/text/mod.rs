//! Text to tokens, tokens to text, and messages to a prompt.

pub mod chat_template;
pub mod detokenizer;
mod guard;
mod jinja;
pub mod message;
mod part;
mod pattern;
pub mod stop;
mod token_files;
pub mod tokenizer;

pub use chat_template::ChatTemplate;
pub use detokenizer::Detokenizer;
pub use message::Message;
pub use stop::StopMatcher;
pub use tokenizer::Tokenizer;
