//! `store_kv`: every row to its slot, and no other slot touched.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, KvPool, params::StoreKvParams};

struct StoreKv {
    tokens: usize,
    kv_heads: usize,
    head_dim: usize,
    block_size: usize,
    max_workgroups: Option<u32>,
}

const USUAL: StoreKv = StoreKv { tokens: 9, kv_heads: 2, head_dim: 24, block_size: 16, max_workgroups: None };

pub fn cases() -> Cases {
    let blocks = [1, 2, 8, 256].map(|block_size| StoreKv { block_size, ..USUAL });
    let widths = [8, 16, 80, 128, 256].map(|head_dim| StoreKv { head_dim, ..USUAL });
    let heads = [1, 3, 8].map(|kv_heads| StoreKv { kv_heads, ..USUAL });
    let tokens = [1, 70].map(|tokens| StoreKv { tokens, ..USUAL });
    let grid = StoreKv { tokens: 50, max_workgroups: Some(4), ..USUAL };
    boxed([USUAL, grid].into_iter().chain(blocks).chain(widths).chain(heads).chain(tokens))
}

impl Case for StoreKv {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        let Self { tokens, kv_heads, head_dim, block_size, .. } = self;
        format!("tokens={tokens},kv_heads={kv_heads},head_dim={head_dim},block_size={block_size}{grid}")
    }

    /// It moves words.
    fn tolerance(&self) -> Tolerance {
        Tolerance::EXACT
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let mut rng = Rng::new(&self.name());
        let width = self.kv_heads * self.head_dim;
        let num_blocks = self.tokens.div_ceil(self.block_size) + 2;
        let mut slots = rng.permutation(num_blocks * self.block_size);
        slots.truncate(self.tokens);
        let step = lab.words(&[vec![1, 2], slots].concat())?;
        let k = lab.input(&rng.f32s(self.tokens * width, 1.0))?;
        let v = lab.input(&rng.f32s(self.tokens * width, 1.0))?;
        let len = num_blocks * self.block_size * width;
        let mut kv = KvPool { k: lab.output(len)?, v: lab.output(len)? };
        let p = StoreKvParams {
            num_tokens: self.tokens as u32,
            num_kv_heads: self.kv_heads as u32,
            head_dim: self.head_dim as u32,
            block_size: self.block_size as u32,
            slot_mapping_offset: 2,
        };
        lab.0.store_kv(p, &step, &k, &v, kv.as_mut());
        Ok(vec![lab.read("k_pool", &kv.k, len)?.partial(), lab.read("v_pool", &kv.v, len)?.partial()])
    }
}
