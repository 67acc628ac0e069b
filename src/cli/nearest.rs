//! What somebody may have meant who misspelled a name.

/// The candidate that takes the fewest changes of a character, if those are few.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    let distances = candidates.into_iter().map(|candidate| (num_changes(name, candidate), candidate));
    distances.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many characters must be put in, taken out or replaced to make one text of the other (Levenshtein).
fn num_changes(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, from_char) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &to_char) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(!from_char.eq_ignore_ascii_case(&to_char));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_changes_are_a_slip() {
        assert_eq!(num_changes("kitten", "sitting"), 3);
        assert_eq!((num_changes("", "abc"), num_changes("abc", ""), num_changes("Abc", "abc")), (3, 3, 0));
        let names = ["temperature", "top_k", "top_p", "seed"];
        for (written, meant) in [("temperatur", "temperature"), ("topk", "top_k"), ("Seed", "seed")] {
            assert_eq!(nearest(written, names), Some(meant));
        }
        assert_eq!(nearest("prompt", names), None);
    }
}
