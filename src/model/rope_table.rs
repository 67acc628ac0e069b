//! The table of angles that the `rope_store_kv` kernel reads, and which of its rows each token of a batch has.
//!
//! ```text
//! row   0                  num_short                  num_short + num_long
//!       [ angles of short sequences )[ of long sequences )[ one row of angles 0, if a layer has no rope ]
//!         by position                  by position
//! ```

use super::config::ModelConfig;
use super::layer_plan::LayerRope;
use super::rope::{Reach, RopeConfig};
use crate::backend::attention_metadata::AttentionMetadata;
use crate::core::batch_builder::RaggedBatch;

/// How the table is made up.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeTable {
    rope: RopeConfig,
    head_dim: usize,
    num_short: usize,
    /// 0 where all sequences have the angles of short ones.
    num_long: usize,
    /// Whether there are layers without rope.
    has_zeros: bool,
}

/// Where the rows of the table that a batch reads begin in the attention metadata, `[num_tokens]` each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RopeRows {
    of_model: u32,
    zeros: u32,
}

impl RopeRows {
    /// Those that a layer reads.
    pub fn of(&self, rope: LayerRope) -> u32 {
        match rope {
            LayerRope::OfModel => self.of_model,
            LayerRope::None => self.zeros,
        }
    }
}

impl RopeTable {
    /// The table for sequences up to a length.
    pub fn new(model: &ModelConfig, max_model_len: usize) -> Self {
        let longest_short = model.rope.longest_short().unwrap_or(max_model_len);
        Self {
            rope: model.rope.clone(),
            head_dim: model.head_dim,
            num_short: max_model_len.min(longest_short),
            num_long: if max_model_len > longest_short { max_model_len } else { 0 },
            has_zeros: model.layers.iter().any(|layer| layer.attention().rope == LayerRope::None),
        }
    }

    /// Words of the table.
    pub fn words(&self) -> usize {
        self.head_dim * (self.num_short + self.num_long + usize::from(self.has_zeros))
    }

    /// Words that [`RopeTable::pack`] adds to the attention metadata of so many tokens.
    pub fn metadata_words(&self, num_tokens: usize) -> usize {
        if self.has_zeros { num_tokens } else { 0 }
    }

    /// The table, `[num_rows, head_dim]`: the cosines of a row's pairs, then their sines. Pairs of the model that do not
    /// turn stand behind those that do, with a cosine of 1.
    pub fn values(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.words());
        let factor = self.rope.attention_factor() as f32;
        let still = self.head_dim / 2 - self.rope.rotary_dim / 2;
        for (reach, num_positions) in [(Reach::Short, self.num_short), (Reach::Long, self.num_long)] {
            let inv_freq = self.rope.inv_freq(reach);
            for position in 0..num_positions {
                // The angle is rounded to f32 as in transformers; cosine and sine are exact but for a rounding.
                let angle = |inv_freq: &f32| f64::from(position as f32 * inv_freq);
                values.extend(inv_freq.iter().map(|inv_freq| angle(inv_freq).cos() as f32 * factor));
                values.extend(std::iter::repeat_n(1.0, still));
                values.extend(inv_freq.iter().map(|inv_freq| angle(inv_freq).sin() as f32 * factor));
                values.extend(std::iter::repeat_n(0.0, still));
            }
        }
        if self.has_zeros {
            values.extend(std::iter::repeat_n(1.0, self.head_dim / 2));
            values.extend(std::iter::repeat_n(0.0, self.head_dim / 2));
        }
        values
    }

    /// Turns the packed positions of a batch into rows of the table.
    pub fn pack(&self, batch: &RaggedBatch, metadata: &mut AttentionMetadata) -> RopeRows {
        let rows = &mut metadata.words[metadata.positions as usize..][..batch.num_tokens()];
        for (seq, ends) in batch.cu_seqlens_q.windows(2).enumerate() {
            if self.reach(batch.num_known(seq)) == Reach::Long {
                rows[ends[0] as usize..ends[1] as usize].iter_mut().for_each(|row| *row += self.num_short as u32);
            }
        }
        let zeros = metadata.words.len() as u32;
        let zeros_row = (self.num_short + self.num_long) as u32;
        metadata.words.extend(std::iter::repeat_n(zeros_row, self.metadata_words(batch.num_tokens())));
        RopeRows { of_model: metadata.positions, zeros }
    }

    /// What a sequence of so many tokens has, computed or not: a prompt in chunks is as long from its first chunk on.
    fn reach(&self, num_tokens: usize) -> Reach {
        if self.num_long > 0 && num_tokens > self.num_short { Reach::Long } else { Reach::Short }
    }
}
