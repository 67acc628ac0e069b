//! What no config.json says about a checkpoint, and its files do: how its tensors are called, and whether a model has an
//! output matrix of its own.

use std::collections::BTreeSet;

use super::config::ModelConfig;
use super::tensor_table::TensorTable;
use crate::core::wording::list_text;
use crate::error::Result;
use crate::files::WeightFiles;

/// What the names of a decoder's tensors begin with: a model with a head saves them with the first, a model without one
/// with the second.
const PREFIXES: [&str; 2] = ["model.", ""];
/// Elements compared at a time.
const CHUNK_ELEMS: usize = 1 << 20;

impl ModelConfig {
    /// Takes over what the files show, and checks that every tensor is there that the model reads. Returns lines for people:
    /// what is not as config.json says, and what nobody reads.
    ///
    /// # Errors
    /// As [`TensorTable::check`].
    pub async fn settle(&mut self, files: &WeightFiles) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let has_embeddings = |prefix: &&str| files.tensor(&format!("{prefix}embed_tokens.weight")).is_ok();
        self.tensor_prefix = PREFIXES.into_iter().find(has_embeddings).unwrap_or(PREFIXES[0]);
        if self.tie_word_embeddings && has_head_of_its_own(files, self.tensor_prefix).await? {
            self.tie_word_embeddings = false;
            let line =
                "config.json has tie_word_embeddings, and yet lm_head.weight differs from the embeddings: it is used";
            notes.push(line.to_owned());
        }
        let table = TensorTable::new(self);
        table.check(files)?;
        notes.extend(unread_text(&unread(files, &table, self.tie_word_embeddings)));
        Ok(notes)
    }
}

/// Whether there is an output matrix with other values than the embedding table.
async fn has_head_of_its_own(files: &WeightFiles, prefix: &str) -> Result<bool> {
    let names = ["lm_head.weight".to_owned(), format!("{prefix}embed_tokens.weight")];
    let [Ok(head), Ok(embeddings)] = names.each_ref().map(|name| files.tensor(name)) else { return Ok(false) };
    if head.shape != embeddings.shape {
        return Ok(true);
    }
    let num_elems = head.shape.iter().product();
    let [mut head, mut embeddings] = names.each_ref().map(|name| files.chunks(name, 0..num_elems, CHUNK_ELEMS));
    let (head, embeddings) = (head.as_mut(), embeddings.as_mut());
    // Of a type that cannot be read: the check that follows says so.
    let (Ok(head), Ok(embeddings)) = (head, embeddings) else { return Ok(true) };
    while let (Some((_, ours)), Some((_, theirs))) = (head.next_chunk().await?, embeddings.next_chunk().await?) {
        if ours.iter().map(|value| value.to_bits()).ne(theirs.iter().map(|value| value.to_bits())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tensors that no weight is made of, but for those which hold what follows from config.json.
fn unread<'a>(files: &'a WeightFiles, table: &TensorTable, is_tied: bool) -> Vec<&'a str> {
    let read: BTreeSet<&str> = table.tensors().into_iter().map(|(name, _)| name).collect();
    let is_harmless = |name: &str| {
        name.ends_with(".rotary_emb.inv_freq")
            || name.ends_with(".attn.bias")
            || name.ends_with(".attn.masked_bias")
            || (is_tied && name == "lm_head.weight")
    };
    files.names().filter(|name| !read.contains(name) && !is_harmless(name)).collect()
}

fn unread_text(names: &[&str]) -> Option<String> {
    let list = list_text(names)?;
    let is_or_are =
        if names.len() == 1 { "tensor of the model's files is" } else { "tensors of the model's files are" };
    Some(format!("{} {is_or_are} not read: {list}", names.len()))
}
