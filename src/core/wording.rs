//! Figures as people read them.

/// `1 block`, `2 blocks`
pub fn count_text(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
