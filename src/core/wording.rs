//! Figures as people read them.

/// `1 block`, `2 blocks`
pub fn count_text(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Most names in a line for people, and most characters of a name.
const MOST_NAMES: usize = 4;
const MOST_CHARS: usize = 100;

/// `a, b, c, d and 3 more`; `None` of none.
pub fn list_text(names: &[&str]) -> Option<String> {
    let shown: Vec<String> =
        names.iter().take(MOST_NAMES).map(|name| name.chars().take(MOST_CHARS).collect()).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 if names.is_empty() => None,
        0 => Some(shown.join(", ")),
        more => Some(format!("{} and {more} more", shown.join(", "))),
    }
}
