//! The model as the papers write it, for one whole sequence at a time, in f64: no batch, no cache, no blocks.

use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::model::layer_plan::{HeadNorms, LayerRope};
use cb_lab::model::{ModelConfig, Reach, WeightFiles};
use ndarray::{Array1, Array2, Array3, Axis, Slice};

/// What a forward of a sequence leaves behind.
pub struct DenseRun {
    /// K after rope and V of each layer, `[seq_len, num_kv_heads * head_dim]`. K as pools have it: of a head whose values
    /// turn in part, each half begins with its share of those.
    pub kv: Vec<(Array2<f64>, Array2<f64>)>,
    /// `[seq_len, vocab_size]`
    pub logits: Array2<f64>,
}

/// Runs a sequence through the model.
pub fn forward(folder: &LoadedFolder, token_ids: &[u32]) -> DenseRun {
    let (config, weights) = (&folder.config, DenseWeights(&folder.files));
    let embeddings = weights.matrix("model.embed_tokens.weight");
    let rows: Vec<usize> = token_ids.iter().map(|&token_id| token_id as usize).collect();
    let mut x = embeddings.select(Axis(0), &rows);
    let mut kv = Vec::new();
    for layer in 0..config.num_layers() {
        let name = |rest: &str| format!("model.layers.{layer}.{rest}");
        let eps = f64::from(config.rms_norm_eps);
        let plan = config.layers[layer].attention();

        let normed = rms_norm(&x, &weights.vector(&name("input_layernorm.weight")), eps);
        let widths =
            [config.num_heads, config.num_kv_heads, config.num_kv_heads].map(|heads| heads * config.stored_head_dim);
        let attn = name("self_attn");
        let [mut q, mut k, v] = weights.of_one_input(&normed, &attn, ["q", "k", "v"], widths, config.qkv_bias);
        if plan.head_norms == HeadNorms::PerHead {
            q = norm_heads(q, &weights.vector(&name("self_attn.q_norm.weight")), eps);
            k = norm_heads(k, &weights.vector(&name("self_attn.k_norm.weight")), eps);
        }
        if plan.rope == LayerRope::OfModel {
            (q, k) = (rope(q, config), rope(k, config));
        }
        let attended = attention(config, layer, &q, &k, &v);
        x += &weights.project(&attended, &name("self_attn.o_proj"), config.o_bias);
        kv.push((turning_first(k, config), v));

        let normed = rms_norm(&x, &weights.vector(&name("post_attention_layernorm.weight")), eps);
        let [gate, up] =
            weights.of_one_input(&normed, &name("mlp"), ["gate", "up"], [config.intermediate_size; 2], false);
        let activated = gate.mapv(|gate| gate / (1.0 + (-gate).exp())) * up;
        x += &weights.project(&activated, &name("mlp.down_proj"), false);
    }
    let normed = rms_norm(&x, &weights.vector("model.norm.weight"), f64::from(config.rms_norm_eps));
    let head = if config.tie_word_embeddings { embeddings } else { weights.matrix("lm_head.weight") };
    DenseRun { kv, logits: normed.dot(&head.t()) }
}

struct DenseWeights<'a>(&'a WeightFiles);

impl DenseWeights<'_> {
    fn vector(&self, name: &str) -> Array1<f64> {
        let mut values = Vec::new();
        let num_elems = self.0.tensor(name).expect("the tensor is there").shape.iter().product();
        let mut chunks = self.0.chunks(name, 0..num_elems, 1 << 20).expect("the tensor is there");
        while let Some((_, piece)) = pollster::block_on(chunks.next_chunk()).expect("the tensor can be read") {
            values.extend(piece.iter().copied().map(f64::from));
        }
        values.into()
    }

    fn matrix(&self, name: &str) -> Array2<f64> {
        let shape = &self.0.tensor(name).expect("the tensor is there").shape;
        self.vector(name).into_shape_with_order((shape[0], shape[1])).expect("a matrix has two dimensions")
    }

    /// `q_proj`, `k_proj` and `v_proj`, or a `qkv_proj` that has their rows one below the other.
    fn of_one_input<const N: usize>(
        &self,
        x: &Array2<f64>,
        block: &str,
        names: [&str; N],
        widths: [usize; N],
        bias: bool,
    ) -> [Array2<f64>; N] {
        let fused = format!("{block}.{}_proj", names.join(if N == 3 { "" } else { "_" }));
        if self.0.tensor(&format!("{fused}.weight")).is_err() {
            return names.map(|name| self.project(x, &format!("{block}.{name}_proj"), bias));
        }
        let all = self.project(x, &fused, bias);
        let mut end = 0;
        widths.map(|width| {
            end += width;
            all.slice_axis(Axis(1), Slice::from(end - width..end)).to_owned()
        })
    }

    fn project(&self, x: &Array2<f64>, name: &str, bias: bool) -> Array2<f64> {
        let out = x.dot(&self.matrix(&format!("{name}.weight")).t());
        if bias { out + self.vector(&format!("{name}.bias")) } else { out }
    }
}

fn rms_norm(x: &Array2<f64>, weight: &Array1<f64>, eps: f64) -> Array2<f64> {
    let mut out = x.clone();
    for mut row in out.outer_iter_mut() {
        let mean_square = row.dot(&row) / row.len() as f64;
        row /= (mean_square + eps).sqrt();
        row *= weight;
    }
    out
}

/// Norms each head by itself.
fn norm_heads(x: Array2<f64>, weight: &Array1<f64>, eps: f64) -> Array2<f64> {
    let shape = x.dim();
    let heads = x.into_shape_with_order((shape.0 * shape.1 / weight.len(), weight.len())).expect("whole heads");
    rms_norm(&heads, weight, eps).into_shape_with_order(shape).expect("as before")
}

/// Multiplies each pair `(x[i], x[i + rotary_dim/2])`, taken as a complex number, by `f · e^(i · position · inv_freq[i])`.
/// The frequencies and the factor are the library's; that they are those of transformers has a test of its own.
fn rope(mut x: Array2<f64>, config: &ModelConfig) -> Array2<f64> {
    let half = config.rope.rotary_dim / 2;
    let is_long = config.rope.longest_short().is_some_and(|longest| x.nrows() > longest);
    let inv_freq = config.rope.inv_freq(if is_long { Reach::Long } else { Reach::Short });
    let factor = config.rope.attention_factor();
    for (position, mut row) in x.outer_iter_mut().enumerate() {
        for mut head in row.exact_chunks_mut(config.stored_head_dim) {
            for (i, inv_freq) in inv_freq.iter().enumerate() {
                let (sin, cos) = (position as f64 * f64::from(*inv_freq)).sin_cos();
                let (re, im) = (factor * head[i], factor * head[i + half]);
                head[i] = re * cos - im * sin;
                head[i + half] = re * sin + im * cos;
            }
        }
    }
    x
}

/// The order of a head's values in a pool, of heads that are as wide there as in the checkpoint.
fn turning_first(k: Array2<f64>, config: &ModelConfig) -> Array2<f64> {
    let (turning, all) = (config.rope.rotary_dim, config.stored_head_dim);
    let middle = turning + (all - turning) / 2;
    let order = [0..turning / 2, turning..middle, turning / 2..turning, middle..all].into_iter().flatten();
    let order: Vec<usize> = order.collect();
    let heads = (0..k.ncols() / all).flat_map(|head| order.iter().map(move |i| head * all + i));
    k.select(Axis(1), &heads.collect::<Vec<_>>())
}

/// `softmax(q kᵀ / sqrt(head_dim)) v` over the keys that each query sees, for each head.
fn attention(config: &ModelConfig, layer: usize, q: &Array2<f64>, k: &Array2<f64>, v: &Array2<f64>) -> Array2<f64> {
    let heads = |x: &Array2<f64>, num_heads| -> Array3<f64> {
        x.to_shape((x.nrows(), num_heads, config.stored_head_dim)).expect("whole heads").into_owned()
    };
    let (q, k, v) = (heads(q, config.num_heads), heads(k, config.num_kv_heads), heads(v, config.num_kv_heads));
    let mut out = Array3::zeros(q.dim());
    for head in 0..config.num_heads {
        let kv_head = head / (config.num_heads / config.num_kv_heads);
        let (q, mut out) = (q.index_axis(Axis(1), head), out.index_axis_mut(Axis(1), head));
        let (k, v) = (k.index_axis(Axis(1), kv_head), v.index_axis(Axis(1), kv_head));
        for (position, (q, mut out)) in q.outer_iter().zip(out.outer_iter_mut()).enumerate() {
            let end = position + 1;
            let first = config.layers[layer].attention().window.map_or(0, |window| end.saturating_sub(window));
            let seen = Slice::from(first..end);
            let scores = k.slice_axis(Axis(0), seen).dot(&q) / (config.stored_head_dim as f64).sqrt();
            let max = scores.fold(f64::NEG_INFINITY, |max, &score| max.max(score));
            let weights = scores.mapv(|score| (score - max).exp());
            out.assign(&(&weights / weights.sum()).dot(&v.slice_axis(Axis(0), seen)));
        }
    }
    let (rows, num_heads, head_dim) = out.dim();
    out.into_shape_with_order((rows, num_heads * head_dim)).expect("as before")
}
