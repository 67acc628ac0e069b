//! Looks at what a step left on the device: the KV pools, and attention against the oracle. For demos and tests; it
//! reads whole pools back. The engine must [step one by one](super::Engine::step_one_by_one).

use super::DeviceEngine;
use crate::backend::cpu::dense_attention::{CausalMask, dense_attention};
use crate::backend::element_type::unpack_f16;
use crate::backend::{Backend, KvPool};
use crate::config::KvDtype;
use crate::error::Result;
use ndarray::{Array3, Array4, ArrayView3, Axis, Slice};

/// K and V of one sequence in order of position, each `[seq_len, num_kv_heads, head_dim]`.
pub type DenseKv = KvPool<Array3<f32>>;

/// How far two computations of the same numbers are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// The largest difference.
    pub largest: f64,
    /// The largest absolute value of what was compared with.
    pub largest_value: f64,
    /// Numbers compared.
    pub count: usize,
}

impl Difference {
    /// Takes a pair in. Something that is no number is infinitely far from everything.
    pub fn add(&mut self, value: f64, reference: f64) {
        let difference = (value - reference).abs();
        self.largest = self.largest.max(if difference.is_nan() { f64::INFINITY } else { difference });
        self.largest_value = self.largest_value.max(reference.abs());
        self.count += 1;
    }

    /// Of all K and V of two sequences, layer by layer.
    pub fn of_kv(kv: &[DenseKv], reference: &[DenseKv]) -> Self {
        let mut difference = Self::default();
        for (kv, reference) in kv.iter().zip(reference) {
            let pairs = kv.k.iter().chain(&kv.v).zip(reference.k.iter().chain(&reference.v));
            pairs.for_each(|(&value, &reference)| difference.add(value.into(), reference.into()));
        }
        difference
    }
}

/// K and V of a sequence of the last step's batch in every layer, gathered through its block table.
///
/// # Errors
/// [`crate::Error::Device`]
pub async fn gather_kv<B: Backend>(engine: &mut DeviceEngine<B>, seq_idx: usize) -> Result<Vec<DenseKv>> {
    let mut layers = Vec::new();
    for layer in 0..engine.model().num_layers() {
        let pool = download_pool(engine, layer).await?;
        layers.push(dense(&pool, engine.runner().batch().blocks(seq_idx), engine.runner().batch().seq_len(seq_idx)));
    }
    Ok(layers)
}

/// Attention of the last layer in the last step, as the kernels computed it on the paged pool, against
/// [`dense_attention`] in f64 on the same queries and on K and V gathered into contiguous arrays.
///
/// # Errors
/// [`crate::Error::Device`]
pub async fn attention_against_dense<B: Backend>(engine: &mut DeviceEngine<B>) -> Result<Difference> {
    let model = engine.model();
    let layer = model.num_layers() - 1;
    let (window, shape) = (
        model.layers[layer].attention().window,
        (engine.runner().batch().num_tokens(), model.num_heads, model.head_dim),
    );
    let num_words = shape.0 * shape.1 * shape.2;
    let pool = download_pool(engine, layer).await?;
    let (decoder, backend) = engine.runner_mut().device_mut();
    let (queries, attended) = decoder.last_attention();
    let mut queries = backend.download(queries, num_words).await?;
    let attended = backend.download(attended, num_words).await?;
    // The reference takes heads to be as wide as they are here, and those of the checkpoint may be narrower.
    let (head_dim, stored) = (decoder.model().head_dim as f32, decoder.model().stored_head_dim as f32);
    let values: &mut [f32] = bytemuck::cast_slice_mut(&mut queries);
    values.iter_mut().for_each(|value| *value *= (head_dim / stored).sqrt());
    let view = |words| ArrayView3::from_shape(shape, bytemuck::cast_slice(words)).expect("as many words as asked for");
    let (queries, attended): (ArrayView3<f32>, ArrayView3<f32>) = (view(&queries), view(&attended));

    let batch = engine.runner().batch();
    let mut difference = Difference::default();
    for seq_idx in 0..batch.num_seqs() {
        let rows = Slice::from(batch.cu_seqlens_q[seq_idx] as usize..batch.cu_seqlens_q[seq_idx + 1] as usize);
        let kv = dense(&pool, batch.blocks(seq_idx), batch.seq_len(seq_idx));
        let mask = CausalMask { context_len: batch.context_lens[seq_idx] as usize, window };
        let expected = dense_attention(queries.slice_axis(Axis(0), rows), kv.k.view(), kv.v.view(), mask);
        let pairs = attended.slice_axis(Axis(0), rows).into_iter().zip(&expected);
        pairs.for_each(|(&value, &reference)| difference.add(value.into(), reference));
    }
    Ok(difference)
}

/// K and V of a layer: `[num_blocks, num_kv_heads, block_size, head_dim]`.
async fn download_pool<B: Backend>(engine: &mut DeviceEngine<B>, layer: usize) -> Result<KvPool<Array4<f32>>> {
    let (model, config) = (engine.model(), engine.scheduler().config());
    let shape = (config.num_kv_blocks, model.num_kv_heads, config.block_size, model.head_dim);
    let kv_dtype = config.kv_dtype;
    let num_words = kv_dtype.words(shape.0 * shape.1 * shape.2 * shape.3);
    let (decoder, backend) = engine.runner_mut().device_mut();
    let pool = decoder.kv_pool(layer);
    let k = backend.download(pool.k, num_words).await?;
    let v = backend.download(pool.v, num_words).await?;
    let array = |words: Vec<u32>| {
        let values = match kv_dtype {
            KvDtype::F32 => words.into_iter().map(f32::from_bits).collect(),
            KvDtype::F16 => unpack_f16(&words),
        };
        Array4::from_shape_vec(shape, values).expect("as many words as asked for")
    };
    Ok(KvPool { k: array(k), v: array(v), elements: KvDtype::F32 })
}

/// What [`crate::backend::Backend::rope_store_kv`] scattered, put in order again.
fn dense(pool: &KvPool<Array4<f32>>, blocks: &[u32], seq_len: usize) -> DenseKv {
    let gather = |pool: &Array4<f32>| {
        let (_, num_kv_heads, block_size, head_dim) = pool.dim();
        Array3::from_shape_fn((seq_len, num_kv_heads, head_dim), |(position, head, i)| {
            pool[[blocks[position / block_size] as usize, head, position % block_size, i]]
        })
    };
    pool.as_ref().map(gather)
}
