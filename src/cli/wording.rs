//! Lines on stderr, and figures as people read them.

pub use crate::core::wording::count_text;

use std::fmt::Display;
use std::io::Write;

/// Prints a line on stderr. Nobody may be there to read it (`2>&1 | head -1`): `eprintln!` would panic.
pub fn tell(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says what went wrong.
pub fn complain(error: impl Display) {
    tell(format_args!("error: {error}"));
}

/// The value of an option, as it is typed.
pub fn value_text(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
}

/// `18 MiB`: three digits or so, which is what one compares.
pub fn bytes_text(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["bytes", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // 1023.5 would be shown as 1024.
    for larger in units {
        if value < 1023.5 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    let decimals = usize::from(value < 9.95 && unit != "bytes");
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_keeps_them_short() {
        let cases = [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (10 << 10, "10 KiB")];
        let large =
            [((1 << 20) - 1, "1.0 MiB"), (18 << 20, "18 MiB"), (3 << 39, "1.5 TiB"), (u64::MAX, "16777216 TiB")];
        for (bytes, text) in cases.into_iter().chain(large) {
            assert_eq!(bytes_text(bytes), text);
        }
        assert_eq!((count_text(1, "token"), count_text(0, "token")), ("1 token".into(), "0 tokens".into()));
    }
}
