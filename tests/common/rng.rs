//! Seeded numbers, the same everywhere.

/// splitmix64 (Steele et al. 2014).
pub struct Rng(u64);

#[allow(dead_code, reason = "not every test that includes this file needs every kind of number")]
impl Rng {
    /// A generator seeded by a name.
    pub fn new(name: &str) -> Self {
        Self(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next_u64() % n as u64) as usize
    }

    /// A number in `-amplitude..amplitude`.
    pub fn f32(&mut self, amplitude: f32) -> f32 {
        let unit = (self.next_u64() >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
        unit * amplitude
    }

    pub fn f32s(&mut self, len: usize, amplitude: f32) -> Vec<f32> {
        (0..len).map(|_| self.f32(amplitude)).collect()
    }

    /// `0..n` in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut items: Vec<u32> = (0..n as u32).collect();
        self.shuffle(&mut items);
        items
    }

    /// Puts items in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
