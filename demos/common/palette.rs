//! A colour for each request, the same in every picture. Those of Okabe and Ito, which people who confuse some colours
//! can tell apart. A number always stands beside them.

use cb_lab::RequestId;

pub struct Colour {
    /// As CSS writes it.
    pub fill: &'static str,
    /// For text on it.
    pub ink: &'static str,
    /// The nearest of a terminal's 256.
    pub ansi: u8,
}

pub const COLOURS: [Colour; 7] = [
    Colour { fill: "#0072b2", ink: "#fff", ansi: 32 },
    Colour { fill: "#e69f00", ink: "#000", ansi: 172 },
    Colour { fill: "#009e73", ink: "#000", ansi: 36 },
    Colour { fill: "#cc79a7", ink: "#000", ansi: 175 },
    Colour { fill: "#56b4e9", ink: "#000", ansi: 74 },
    Colour { fill: "#d55e00", ink: "#000", ansi: 166 },
    Colour { fill: "#f0e442", ink: "#000", ansi: 185 },
];

/// Which of the colours a request has.
pub fn colour_idx(id: RequestId) -> usize {
    (id.0 % COLOURS.len() as u64) as usize
}
