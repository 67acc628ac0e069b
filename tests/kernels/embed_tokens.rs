//! `embed_tokens`: first, last and any token, tables in one piece and in several.

use crate::harness::*;
use cb_lab::backend::element_type::ElementType;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, params::EmbedTokensParams};

struct EmbedTokens {
    vocab_size: usize,
    hidden_size: usize,
    tokens: usize,
    elements: ElementType,
    /// The attention metadata has rows of sampled tokens instead of token ids.
    from_sampled: bool,
    max_workgroups: Option<u32>,
    /// A smaller binding than the table, which is split by rows then.
    max_binding_bytes: Option<u64>,
}

const USUAL: EmbedTokens = EmbedTokens {
    vocab_size: 100,
    hidden_size: 72,
    tokens: 7,
    elements: ElementType::F32,
    from_sampled: false,
    max_workgroups: None,
    max_binding_bytes: None,
};

pub fn cases() -> Cases {
    // 288 bytes a row: pieces of 30, 30, 30 and 10 rows.
    let split = EmbedTokens { max_binding_bytes: Some(8700), tokens: 25, ..USUAL };
    let grid = EmbedTokens { tokens: 40, max_workgroups: Some(4), ..USUAL };
    let tokens = [1, 3, 64, 65].map(|tokens| EmbedTokens { tokens, ..USUAL });
    let widths = [4, 252, 256, 260, 896].map(|hidden_size| EmbedTokens { hidden_size, ..USUAL });
    // 144 bytes a row: pieces of 60, 60, 60 and 20 rows. 68 is no multiple of 8, so it is stored as f32.
    let packed = [ElementType::F16, ElementType::Bf16, ElementType::Int8].into_iter().flat_map(|elements| {
        let split = EmbedTokens { elements, vocab_size: 200, max_binding_bytes: Some(8700), tokens: 25, ..USUAL };
        // Widths of a multiple of 32 are interleaved, eight rows together: 100 rows end amid eight. int8 of another width is
        // stored as f32.
        let interleaved = EmbedTokens { elements, hidden_size: 96, tokens: 20, ..USUAL };
        let interleaved_split = EmbedTokens { max_binding_bytes: Some(8700), ..interleaved };
        [
            EmbedTokens { elements, ..USUAL },
            split,
            interleaved,
            interleaved_split,
            EmbedTokens { elements, hidden_size: 68, ..USUAL },
        ]
    });
    let chosen = EmbedTokens { from_sampled: true, ..USUAL };
    let chosen_split = EmbedTokens { from_sampled: true, ..split };
    boxed([USUAL, split, grid, chosen, chosen_split].into_iter().chain(tokens).chain(widths).chain(packed))
}

impl Case for EmbedTokens {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        let split = self.max_binding_bytes.map_or(String::new(), |most| format!(",max_binding_bytes={most}"));
        let Self { vocab_size, hidden_size, tokens, elements, .. } = self;
        let chosen = if self.from_sampled { ",from_sampled" } else { "" };
        format!("vocab_size={vocab_size},hidden_size={hidden_size},tokens={tokens},{elements:?}{chosen}{grid}{split}")
    }

    /// It moves weights, and a whole number times its scale is exact.
    fn tolerance(&self) -> Tolerance {
        Tolerance::EXACT
    }

    fn options(&self) -> GpuOptions {
        let (max_workgroups, max_binding_bytes) = (self.max_workgroups, self.max_binding_bytes);
        GpuOptions { max_workgroups, max_binding_bytes, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let mut rng = Rng::new(&self.name());
        // Three words of something else stand before the token ids in the attention metadata.
        let mut step = vec![5, 6, 7];
        step.extend((0..self.tokens).map(|_| rng.below(self.vocab_size) as u32));
        step[3] = self.vocab_size as u32 - 1;
        *step.last_mut().expect("there are tokens") = if self.tokens == 1 { self.vocab_size as u32 - 1 } else { 0 };
        // Choices are pairs, in another order than the tokens, and there are more of them.
        let chosen_by: Vec<u32> = rng.permutation(self.tokens + 5)[..self.tokens].to_vec();
        let mut sampled_tokens = vec![self.vocab_size as u32 / 2; 2 * (self.tokens + 5)];
        for (&row, &token_id) in chosen_by.iter().zip(&step[3..]) {
            sampled_tokens[2 * row as usize] = token_id;
        }
        if self.from_sampled {
            step.splice(3.., chosen_by);
        }
        let step = lab.words(&step)?;
        let sampled_tokens = lab.words(&sampled_tokens)?;
        let table = rng.f32s(self.vocab_size * self.hidden_size, 1.0);
        let table = lab.matrix(self.vocab_size, self.hidden_size, self.elements, &table)?;
        let mut out = lab.output(self.tokens * self.hidden_size)?;
        let p = EmbedTokensParams {
            num_tokens: self.tokens as u32,
            hidden_size: self.hidden_size as u32,
            first_row: 0,
            num_rows: 0,
            token_ids_offset: 3,
            from_sampled: self.from_sampled as u32,
        };
        lab.0.embed_tokens(p, &step, &sampled_tokens, &table, &mut out);
        Ok(vec![lab.read("out", &out, self.tokens * self.hidden_size)?])
    }
}
