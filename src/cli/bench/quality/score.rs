//! How well a model predicts a text: every token from those before it, through the engine's own decoder.

use crate::backend::Backend;
use crate::core::batch_builder::RaggedBatch;
use crate::engine::DeviceEngine;
use crate::error::Result;
use crate::ids::TokenId;

/// What was predicted for one token of a text.
#[derive(Clone, Copy, Debug)]
pub struct Predicted {
    /// Natural log-probability of the token that is there.
    pub logprob: f64,
    /// The token that was thought most probable; the lowest id of several.
    pub top: TokenId,
}

/// Predicts all tokens but the first, in chunks of as many rows as the engine computes logits for. The engine must be idle:
/// its first blocks are written over.
///
/// # Errors
/// [`crate::Error::Device`] if the device failed.
pub async fn predict<B: Backend>(engine: &mut DeviceEngine<B>, token_ids: &[TokenId]) -> Result<Vec<Predicted>> {
    let config = engine.scheduler().config().clone();
    let chunk = config.max_num_seqs.min(config.max_tokens_per_step).min(config.prefill_chunk_size);
    let (decoder, backend) = engine.runner_mut().device_mut();
    // All tokens are known: no row refers to a sampled token.
    let sampled_tokens = backend.alloc("no sampled tokens", 2)?;
    let mut predicted = Vec::with_capacity(token_ids.len());
    for first in (0..token_ids.len()).step_by(chunk) {
        let end = (first + chunk).min(token_ids.len());
        let batch = rows_of_one_sequence(token_ids, first, end, config.block_size);
        let logits = decoder.forward(backend, &batch, &sampled_tokens);
        let (buffer, num_words, vocab_size) = (logits.buffer, logits.num_rows * logits.vocab_size, logits.vocab_size);
        let words = backend.download(buffer, num_words).await?;
        let rows = bytemuck::cast_slice::<u32, f32>(&words).chunks_exact(vocab_size);
        // The last row of the text predicts what nobody knows.
        predicted.extend(rows.zip(&token_ids[first + 1..]).map(|(row, &token_id)| predicted_of(row, token_id)));
    }
    Ok(predicted)
}

/// Tokens `first..end` of a sequence that has the first blocks, with the logits of every row.
fn rows_of_one_sequence(token_ids: &[TokenId], first: usize, end: usize, block_size: usize) -> RaggedBatch {
    let num_blocks = end.div_ceil(block_size) as u32;
    let positions: Vec<u32> = (first as u32..end as u32).collect();
    RaggedBatch {
        block_size: block_size as u32,
        token_ids: token_ids[first..end].to_vec(),
        sample_indices: Vec::new(),
        slot_mapping: positions.clone(),
        positions,
        cu_seqlens_q: vec![0, (end - first) as u32],
        context_lens: vec![first as u32],
        num_known: vec![token_ids.len() as u32],
        block_table_offsets: vec![0, num_blocks],
        block_table: (0..num_blocks).collect(),
        logit_indices: (0..(end - first) as u32).collect(),
    }
}

fn predicted_of(logits: &[f32], token_id: TokenId) -> Predicted {
    let mut top = 0;
    for (idx, &logit) in logits.iter().enumerate() {
        if logit > logits[top] {
            top = idx;
        }
    }
    let largest = f64::from(logits[top]);
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    Predicted { logprob: f64::from(logits[token_id as usize]) - largest - sum.ln(), top: top as TokenId }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuBackend;
    use crate::engine::limits::LimitOptions;
    use crate::engine::loaded_folder::LoadedFolder;
    use crate::model::embedded::default_model;

    /// A text that does not fit into one step says the same as in one.
    #[test]
    fn chunks_change_no_bit() {
        let logprobs = |chunk| {
            let folder = pollster::block_on(LoadedFolder::open(&default_model())).unwrap();
            let config = LimitOptions { max_num_seqs: Some(chunk), num_kv_blocks: Some(8), ..LimitOptions::default() };
            let config = config.resolve(&folder.config, usize::MAX).unwrap();
            let mut engine = pollster::block_on(DeviceEngine::new(CpuBackend::default(), folder, config)).unwrap();
            let token_ids: Vec<TokenId> = (0..40).map(|i| 7 * i % 300).collect();
            let predicted = pollster::block_on(predict(&mut engine, &token_ids)).unwrap();
            predicted.iter().map(|predicted| predicted.logprob.to_bits()).collect::<Vec<_>>()
        };
        let at_once = logprobs(40);
        assert_eq!(at_once.len(), 39);
        assert_eq!(logprobs(7), at_once);
    }

    #[test]
    fn probabilities_are_those_of_a_softmax() {
        let logits = [0.0, 2f32.ln(), 5f32.ln(), f32::MIN];
        let of = |token_id| predicted_of(&logits, token_id);
        assert!((of(0).logprob.exp() - 0.125).abs() < 1e-6 && (of(2).logprob.exp() - 0.625).abs() < 1e-6);
        assert_eq!((of(3).top, predicted_of(&[1.0, 1.0], 1).top), (2, 0));
    }
}
