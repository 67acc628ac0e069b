//! The reference (oracle): attention over contiguous K and V in f64, with an explicit mask. It defines the twins.

use ndarray::{Array2, Array3, ArrayView3, Axis};

/// Which keys a query may see.
#[derive(Clone, Copy, Debug)]
pub struct CausalMask {
    /// Position of the first query: this many keys come before it.
    pub context_len: usize,
    /// A query sees this many tokens, itself included. `None` sees all.
    pub window: Option<usize>,
}

impl CausalMask {
    /// Whether the query (counted from the first query) sees the key (counted from position 0).
    pub fn sees(&self, query: usize, key: usize) -> bool {
        let position = self.context_len + query;
        key <= position && self.window.is_none_or(|window| position - key < window)
    }
}

/// `softmax(q kᵀ / sqrt(head_dim) + mask) v` for each head (Vaswani et al. 2017).
///
/// `q` is `[query_len, num_heads, head_dim]`, `k` and `v` are `[seq_len, num_kv_heads, head_dim]`; the result has the
/// shape of `q`.
pub fn dense_attention(q: ArrayView3<f32>, k: ArrayView3<f32>, v: ArrayView3<f32>, mask: CausalMask) -> Array3<f64> {
    let (query_len, num_heads, head_dim) = q.dim();
    let (seq_len, num_kv_heads, _) = k.dim();
    let mut out = Array3::zeros(q.dim());
    for head in 0..num_heads {
        let kv_head = head / (num_heads / num_kv_heads);
        let q = q.index_axis(Axis(1), head).mapv(f64::from);
        let k = k.index_axis(Axis(1), kv_head).mapv(f64::from);
        let v = v.index_axis(Axis(1), kv_head).mapv(f64::from);
        let scores = q.dot(&k.t()) / (head_dim as f64).sqrt();
        let masked = Array2::from_shape_fn((query_len, seq_len), |(query, key)| {
            if mask.sees(query, key) { scores[[query, key]] } else { f64::NEG_INFINITY }
        });
        let mut weights = masked;
        for mut row in weights.outer_iter_mut() {
            let max = row.fold(f64::NEG_INFINITY, |max, &score| max.max(score));
            row.mapv_inplace(|score| (score - max).exp());
            let sum = row.sum();
            row /= sum;
        }
        out.index_axis_mut(Axis(1), head).assign(&weights.dot(&v));
    }
    out
}
