//! Text to tokens and tokens to text.

pub mod detokenizer;
pub mod stop;
pub mod tokenizer;

pub use detokenizer::Detokenizer;
pub use stop::StopMatcher;
pub use tokenizer::Tokenizer;
