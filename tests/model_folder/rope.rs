//! Rope frequencies and tables against the numbers `LlamaRotaryEmbedding` of transformers 5.23 computes in f32.

use cb_lab::model::{RopeConfig, RopeScaling};

const HEAD_DIM: usize = 64;

/// One unit in the last place: the reference's power function may round the other way.
const INV_FREQ_RTOL: f32 = 1.2e-7;
/// Cosines and sines up to position 1000, where such a unit would be an angle of up to 6e-5. None is off in these spots.
const TABLE_ATOL: f32 = 1e-6;

const PAIRS: [usize; 8] = [0, 1, 8, 12, 15, 16, 20, 31];
/// `(position, pair)`.
const SPOTS: [(usize, usize); 6] = [(1, 0), (37, 5), (999, 1), (999, 8), (999, 16), (512, 31)];

#[track_caller]
fn check(theta: f64, scaling: RopeScaling, inv_freq: [f32; 8], cos: [f32; 6], sin: [f32; 6]) {
    let rope = RopeConfig { theta, scaling };
    let ours = rope.inv_freq(HEAD_DIM);
    assert_eq!(ours.len(), HEAD_DIM / 2);
    for (pair, expected) in PAIRS.into_iter().zip(inv_freq) {
        let error = (ours[pair] - expected).abs();
        assert!(error <= expected * INV_FREQ_RTOL, "pair {pair}: {} for {expected}", ours[pair]);
    }
    let table = rope.table(HEAD_DIM, 1000);
    assert_eq!(table.len(), 1000 * HEAD_DIM);
    for (spot, (position, pair)) in SPOTS.into_iter().enumerate() {
        let row = &table[position * HEAD_DIM..][..HEAD_DIM];
        assert!((row[pair] - cos[spot]).abs() <= TABLE_ATOL, "cos at {position}, {pair}: {}", row[pair]);
        let ours = row[HEAD_DIM / 2 + pair];
        assert!((ours - sin[spot]).abs() <= TABLE_ATOL, "sin at {position}, {pair}: {ours}");
    }
}

#[test]
fn default() {
    check(
        1e4,
        RopeScaling::None,
        [1.0, 0.749_894_2, 0.1, 0.031_622_78, 0.013_335_215, 0.01, 0.003_162_277_9, 0.000_133_352_15],
        [0.540_302_34, -0.795_662_5, 0.125_231_12, 0.807_459_53, -0.844_469_8, 0.997_670_05],
        [0.841_470_96, 0.605_740_13, 0.992_127_6, -0.589_922_9, -0.535_603_17, 0.068_223_27],
    );
}

#[test]
fn linear() {
    check(
        1e4,
        RopeScaling::Linear { factor: 4.0 },
        [0.25, 0.187_473_55, 0.025, 0.007_905_695, 0.003_333_803_7, 0.0025, 0.000_790_569_47, 0.000_033_338_038],
        [0.968_912_4, -0.583_250_16, 0.353_498_9, 0.987_584_7, -0.799_644_9, 0.999_854_3],
        [0.247_403_96, 0.812_292_6, -0.935_434_94, -0.157_087_5, 0.600_473_17, 0.017_068_246],
    );
}

#[test]
fn llama3() {
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    check(
        5e5,
        scaling,
        [1.0, 0.663_601_3, 0.037_606_03, 0.007_292_665, 0.001_290_548, 0.000_429_556_7, 8.570_256e-6, 9.418_306_5e-8],
        [0.540_302_34, 0.049_024_485, -0.998_101_3, 0.991_472_54, 0.909_329_3, 1.0],
        [0.841_470_96, -0.998_797_6, -0.061_594_184, -0.130_315_93, 0.416_077_26, 4.822_173e-5],
    );
}
