//! Random numbers without state: a function of (seed, index), so that a request's tokens never depend on its batch mates.

/// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
pub fn philox4x32(key: u64, counter: [u32; 4]) -> [u32; 4] {
    let mut key = [key as u32, (key >> 32) as u32];
    let mut block = counter;
    for _ in 0..10 {
        let a = 0xD251_1F53 * u64::from(block[0]);
        let b = 0xCD9E_8D57 * u64::from(block[2]);
        let high = |product: u64| (product >> 32) as u32;
        block = [high(b) ^ block[1] ^ key[0], b as u32, high(a) ^ block[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    block
}

/// A number in `[0, 1)` with 53 random bits for the `index`-th token of a request with this seed.
pub fn uniform(seed: u64, index: u64) -> f64 {
    let [a, b, ..] = philox4x32(seed, [index as u32, (index >> 32) as u32, 0, 0]);
    let bits = (u64::from(a) << 32 | u64::from(b)) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the authors' implementation.
    #[test]
    fn philox_gives_the_known_answers() {
        assert_eq!(philox4x32(0, [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32(u64::MAX, [u32::MAX; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32(0x299f_31d0_a409_3822, [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_covers_the_unit_interval() {
        let draws: Vec<f64> = (0..10_000).map(|index| uniform(7, index)).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        for tenth in 0..10 {
            let count = draws.iter().filter(|&&draw| (draw * 10.0) as usize == tenth).count();
            // 1,000 expected, standard deviation 30.
            assert!((850..1150).contains(&count), "{count} of 10,000 draws in tenth {tenth}");
        }
    }
}
