//! Stop texts against a naive search of the whole text.

use cb_lab::text::StopMatcher;
use proptest::prelude::*;

/// What the output should be: the text before the match that ends first, the longest of those. `None`: no match.
fn oracle(text: &str, stops: &[String]) -> Option<String> {
    let ends = text.char_indices().map(|(start, char)| start + char.len_utf8());
    let mut matches = ends.filter_map(|end| {
        let longest = stops.iter().filter(|stop| !stop.is_empty() && text[..end].ends_with(stop.as_str()));
        longest.map(String::len).max().map(|len| text[..end - len].to_owned())
    });
    matches.next()
}

/// The pieces that come out, and whether a stop text was found.
fn run(pieces: &[String], stops: &[String]) -> (Vec<String>, bool) {
    let mut matcher = StopMatcher::new(stops);
    let outputs: Vec<_> = pieces.iter().map(|piece| matcher.push(piece)).collect();
    let stopped = outputs.last().is_some_and(|output| output.stopped);
    let mut texts: Vec<String> = outputs.into_iter().map(|output| output.text).collect();
    texts.push(matcher.finish());
    (texts, stopped)
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

#[test]
fn a_stop_text_split_over_pieces_is_never_shown() {
    let (texts, stopped) = run(&strings(&["one\n", "\nUs", "er: two"]), &strings(&["\n\nUser:"]));
    assert_eq!((texts.concat().as_str(), stopped), ("one", true));
}

#[test]
fn text_waits_only_as_long_as_it_may_be_a_stop_text() {
    let (texts, stopped) = run(&strings(&["ab", "c", "aab"]), &strings(&["abd"]));
    assert_eq!(texts, ["", "abc", "a", "ab"]);
    assert!(!stopped);
}

#[test]
fn the_match_that_ends_first_wins_and_then_the_longest() {
    assert_eq!(run(&strings(&["xabcd"]), &strings(&["abcd", "bc"])).0.concat(), "xa");
    assert_eq!(run(&strings(&["xabcd"]), &strings(&["bc", "abc"])).0.concat(), "x");
}

#[test]
fn nothing_comes_out_after_a_stop() {
    let (texts, stopped) = run(&strings(&["aSTOPb", "c"]), &strings(&["STOP"]));
    assert_eq!(texts, ["a", "", ""]);
    assert!(stopped);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn same_as_searching_the_whole_text(
        pieces in prop::collection::vec("[abé]{0,4}", 0..8),
        stops in prop::collection::vec("[abé]{0,4}", 0..4),
    ) {
        let (texts, stopped) = run(&pieces, &stops);
        let whole = pieces.concat();
        let expected = oracle(&whole, &stops);
        prop_assert_eq!(stopped, expected.is_some());
        prop_assert_eq!(texts.concat(), expected.unwrap_or(whole));
    }
}
