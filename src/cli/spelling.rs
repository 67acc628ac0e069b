//! Errors name the fields of the library; whoever typed a command knows them as options.

use super::engine_args::{LimitArgs, SamplingArgs};
use crate::error::Error;
use clap::{Args, Command};

/// The sentence of an error as the command line says it: `max_model_len` is `--max-model-len`.
pub fn spelled(error: &Error) -> String {
    match error {
        Error::InvalidOption { option, value, reason } => {
            format!("{} is {value}: {}", as_option(option), with_options(reason))
        }
        Error::RequestRefused(_) | Error::Device(_) => with_options(&error.to_string()),
        Error::NoGpu(_) => error.to_string().replace("the CPU backend", "--backend cpu"),
        // Paths and names of users are in the others.
        _ => error.to_string(),
    }
}

/// `max_model_len` as it is typed.
pub fn as_option(field: &str) -> String {
    format!("--{}", field.replace('_', "-"))
}

/// Replaces each word that is the field of an option, such as `max_new_tokens`. One-word names such as `seed` are also
/// ordinary words and stay.
fn with_options(sentence: &str) -> String {
    let engine_options = SamplingArgs::augment_args(LimitArgs::augment_args(Command::new("engine")));
    let is_field = |word: &str| {
        word.contains('_') && engine_options.get_arguments().any(|argument| argument.get_id().as_str() == word)
    };
    let is_part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    let words = sentence.split_inclusive(|c| !is_part_of_a_word(c)).map(|word| {
        let name = word.trim_end_matches(|c| !is_part_of_a_word(c));
        if is_field(name) { as_option(name) + &word[name.len()..] } else { word.to_owned() }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_options() {
        let reason = "num_kv_blocks, too: lower it".to_owned();
        let invalid = Error::InvalidOption { option: "block_size", value: "3".into(), reason };
        assert_eq!(spelled(&invalid), "--block-size is 3: --num-kv-blocks, too: lower it");
        let refused = Error::RequestRefused("max_model_len is 8: my_max_model_len, seed, lower max_new_tokens".into());
        let options = "request refused: --max-model-len is 8: my_max_model_len, seed, lower --max-new-tokens";
        assert_eq!(spelled(&refused), options);
    }

    #[test]
    fn names_of_users_stay() {
        let error = Error::InvalidFile { path: "max_model_len/top_k".into(), reason: "top_k".into() };
        assert_eq!(spelled(&error), error.to_string());
    }
}
