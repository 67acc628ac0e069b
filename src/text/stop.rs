//! Stop texts in a stream of pieces: what can no longer become part of one goes out, the rest waits.

/// Looks for stop texts in one output stream.
///
/// The match that ends first wins; of several that end together, the longest. So the result does not depend on how the
/// text is cut into pieces, and no token is generated after the one that completes a stop text, with one exception: text
/// that a detokenizer holds back is looked at when it comes out. That is a run of sentencepiece byte tokens until it ends,
/// and a token that ends inside a character until that is whole. A stop text in there is seen so much later.
#[derive(Clone, Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    /// Text that may be the beginning of a stop text.
    held: String,
    stopped: bool,
}

/// What a piece of text led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopOutput {
    /// Text that may be shown. It never holds any part of the stop text that was found.
    pub text: String,
    /// A stop text was found: the output ends here.
    pub stopped: bool,
}

impl StopMatcher {
    /// Looks for `stops`. Empty ones are ignored.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, held: String::new(), stopped: false }
    }

    /// Takes the next piece. After a stop text was found, everything is swallowed.
    pub fn push(&mut self, piece: &str) -> StopOutput {
        if self.stopped {
            return StopOutput { text: String::new(), stopped: true };
        }
        self.held.push_str(piece);
        let ends =
            self.stops.iter().filter_map(|stop| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start)));
        if let Some((_end, start)) = ends.min() {
            self.stopped = true;
            self.held.truncate(start);
            return StopOutput { text: std::mem::take(&mut self.held), stopped: true };
        }
        let rest = self.held.split_off(self.held.len() - self.num_undecided_bytes());
        StopOutput { text: std::mem::replace(&mut self.held, rest), stopped: false }
    }

    /// Returns what was held back: the output ended for another reason.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Length of the longest end of `held` that some stop text begins with.
    fn num_undecided_bytes(&self) -> usize {
        let mut starts = self.held.char_indices().map(|(start, _)| &self.held[start..]);
        starts.find(|end| self.stops.iter().any(|stop| stop.starts_with(end))).map_or(0, str::len)
    }
}
