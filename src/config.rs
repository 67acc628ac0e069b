//! The limits an engine runs within. Everything has one, and every one is checked before anything is allocated.

use crate::error::{Error, Result};

/// How K and V are kept. Scores and sums are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum KvDtype {
    /// 4 bytes an element: nothing is rounded.
    #[default]
    F32,
    /// 2 bytes: rounded to 11 bits, to the nearest and to even; what is beyond ±65,504 becomes that.
    F16,
}

impl KvDtype {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// Words of so many elements, an even number.
    pub fn words(self, num_elements: usize) -> usize {
        num_elements / 2 * self.bytes() / 2
    }

    /// What the kernels' `override KV_TYPE` calls it.
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
        }
    }
}

/// How the weights of a model are kept. Sums are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum WeightDtype {
    /// As in the checkpoint: nothing is rounded.
    #[default]
    Auto,
    /// 4 bytes a weight.
    F32,
    /// 2 bytes: 11 bits of precision, up to 65,504.
    F16,
    /// 2 bytes: 8 bits of precision, the range of f32.
    Bf16,
    /// A byte, and a scale for each 32 neighbours.
    Int8,
    /// Half a byte, in the same way, in the layers; a byte in the embeddings and the logits' matrix.
    Int4,
}

/// Limits of one engine. All lengths are in tokens.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EngineConfig {
    /// Tokens per KV block: a power of two from 1 to 256.
    pub block_size: usize,
    /// Blocks in the KV pool, shared by all sequences.
    pub num_kv_blocks: usize,
    /// Most rows of one ragged batch (vLLM: `max_num_batched_tokens`).
    pub max_tokens_per_step: usize,
    /// Most prompt tokens of one sequence in one step.
    pub prefill_chunk_size: usize,
    /// Most sequences running at a time.
    pub max_num_seqs: usize,
    /// Most tokens of a sequence that are computed: prompt and output but for the last token, which nothing reads any more.
    pub max_model_len: usize,
    /// How K and V are kept.
    #[serde(default)]
    pub kv_dtype: KvDtype,
    /// How weights are kept.
    #[serde(default)]
    pub weight_dtype: WeightDtype,
}

/// `linear` has a workgroup for every few rows along one dimension of its grid, and WebGPU promises as many workgroups
/// along one.
const MAX_TOKENS_PER_STEP: usize = 65_535;

impl EngineConfig {
    /// Checks every limit by itself.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the first option that cannot work.
    pub fn validate(&self) -> Result<()> {
        let block_size_ok = self.block_size.is_power_of_two() && self.block_size <= 256;
        if !block_size_ok {
            return Err(Error::InvalidOption {
                option: "block_size",
                value: self.block_size.to_string(),
                reason: "use a power of two from 1 to 256".into(),
            });
        }
        // Everything that reaches a GPU is a u32; slots are block_id * block_size + offset.
        let most = u32::MAX as usize / 256;
        let from_one_to = [
            ("num_kv_blocks", self.num_kv_blocks, most),
            ("max_tokens_per_step", self.max_tokens_per_step, MAX_TOKENS_PER_STEP),
            ("prefill_chunk_size", self.prefill_chunk_size, most),
            ("max_num_seqs", self.max_num_seqs, most),
            ("max_model_len", self.max_model_len, most),
        ];
        for (option, value, most) in from_one_to {
            if value == 0 {
                return Err(Error::InvalidOption {
                    option,
                    value: value.to_string(),
                    reason: "it must be at least 1".into(),
                });
            }
            if value > most {
                return Err(Error::InvalidOption {
                    option,
                    value: value.to_string(),
                    reason: format!("it must be at most {most}"),
                });
            }
        }
        Ok(())
    }

    /// The first limit that is another in `other`: its name, and its value here and there.
    pub fn first_difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let values = |config: &Self| {
            // All of them: a new one that is missing here does not compile.
            let &Self {
                block_size,
                num_kv_blocks,
                max_tokens_per_step,
                prefill_chunk_size,
                max_num_seqs,
                max_model_len,
                kv_dtype,
                weight_dtype,
            } = config;
            [
                ("block_size", block_size.to_string()),
                ("num_kv_blocks", num_kv_blocks.to_string()),
                ("max_tokens_per_step", max_tokens_per_step.to_string()),
                ("prefill_chunk_size", prefill_chunk_size.to_string()),
                ("max_num_seqs", max_num_seqs.to_string()),
                ("max_model_len", max_model_len.to_string()),
                ("kv_dtype", format!("{kv_dtype:?}").to_lowercase()),
                ("weight_dtype", format!("{weight_dtype:?}").to_lowercase()),
            ]
        };
        let mut pairs = values(self).into_iter().zip(values(other));
        pairs.find(|(here, there)| here != there).map(|((name, here), (_, there))| (name, here, there))
    }

    /// Blocks that `num_tokens` tokens of one sequence occupy.
    pub fn num_blocks_for(&self, num_tokens: usize) -> usize {
        num_tokens.div_ceil(self.block_size)
    }

    /// The longest sequence there can be, prompt and output together: its last token is told, and never computed or stored.
    pub fn longest_sequence(&self) -> usize {
        self.max_model_len.min(self.num_kv_blocks.saturating_mul(self.block_size)).saturating_add(1)
    }
}
