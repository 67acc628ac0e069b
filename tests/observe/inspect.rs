//! The looking glass itself: it must see equal what is equal, and see a difference where there is one.

use super::{engine, params};
use cb_lab::backend::Backend;
use cb_lab::engine::inspect::{Difference, attention_against_dense, gather_kv};
use pollster::block_on;

#[test]
fn chunks_leave_the_same_kv_as_one_piece() {
    let prompt: Vec<u32> = (10..31).collect();
    let kv_with_chunks_of = |chunk| {
        let mut engine = engine(16, chunk);
        let id = engine.submit(prompt.clone(), params(2)).unwrap();
        while engine.scheduler().get(id).unwrap().context_len() < prompt.len() {
            block_on(engine.step()).unwrap();
            let attention = block_on(attention_against_dense(&mut engine)).unwrap();
            assert!(attention.largest < 1e-5 && attention.largest_value > 0.1, "{attention:?}");
        }
        block_on(gather_kv(&mut engine, 0)).unwrap()
    };
    let in_one_piece = kv_with_chunks_of(32);
    assert_eq!(in_one_piece[0].k.dim().0, prompt.len());
    for chunk in [1, 4, 5, 20] {
        let difference = Difference::of_kv(&kv_with_chunks_of(chunk), &in_one_piece);
        assert_eq!(difference.largest, 0.0, "bit for bit the same in chunks of {chunk}");
        assert!(difference.count > 0 && difference.largest_value > 0.1, "{difference:?}");
    }
}

#[test]
fn attention_on_another_value_is_seen_to_differ() {
    let mut engine = engine(16, 8);
    engine.submit((10..15).collect(), params(4)).unwrap();
    engine.submit((20..33).collect(), params(4)).unwrap();
    block_on(engine.step()).unwrap();
    block_on(engine.step()).unwrap();
    assert!(block_on(attention_against_dense(&mut engine)).unwrap().largest < 1e-5, "a decode and a chunk");

    // One value of the second sequence's first token, in the last layer.
    let (layer, block) = (engine.model().num_layers() - 1, engine.runner().batch().blocks(1)[0] as usize);
    let first_word = block * engine.model().num_kv_heads * 4 * engine.model().head_dim;
    let (decoder, backend) = engine.runner_mut().device_mut();
    backend.upload(decoder.kv_pool_mut(layer).v, first_word, &[9f32.to_bits()]);
    assert!(block_on(attention_against_dense(&mut engine)).unwrap().largest > 1e-2);
}

#[test]
fn what_is_no_number_is_far_from_everything() {
    let mut difference = Difference::default();
    difference.add(f64::NAN, 1.0);
    assert_eq!(difference.largest, f64::INFINITY);
}
