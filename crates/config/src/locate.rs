//! From the paths of errors to places in a text.

use tidegate_core::config::Segment;

use crate::walk::{Node, Spot, Step, walk};

/// A path looked for, and the nearest thing to it that stands in the text.
struct Search<'p> {
    path: &'p [Segment],
    about_key: bool,
    found: Option<Spot>,
}

impl Search<'_> {
    fn meet(&mut self, path: &[Segment], key: Option<Spot>, spot: Spot, node: Node<'_>) {
        if !self.path.starts_with(path) {
            return;
        }
        let whole = self.path.len() == path.len();
        self.found = Some(match (key, node) {
            (Some(key), _) if whole && self.about_key => key,
            // Nothing stands there, or something that begins on another line: the key says more.
            (Some(key), Node::Scalar("") | Node::Container) => key,
            _ => spot,
        });
    }
}

/// The spot of each path (a key's, if the error is about the key), or of the nearest thing around it.
pub(crate) fn locate(text: &str, paths: &[(&[Segment], bool)]) -> Vec<Option<Spot>> {
    let mut searches: Vec<_> = paths.iter().map(|&(path, about_key)| Search { path, about_key, found: None }).collect();
    // An error of syntax ends the walk: what was found by then stands.
    let _ = walk(text, |step| {
        if let Step::Value { path, key, spot, node } = step {
            searches.iter_mut().for_each(|search| search.meet(path, key, spot, node));
        }
        true
    });
    searches.into_iter().map(|search| search.found).collect()
}

/// The spots of values on these lines that nobody must see.
pub(crate) fn secrets(text: &str, lines: &[usize], is_secret: impl Fn(&[Segment], &str) -> bool) -> Vec<Spot> {
    let mut spots = Vec::new();
    let _ = walk(text, |step| {
        if let Step::Value { path, spot, node: Node::Scalar(value), .. } = step {
            let shown = lines.iter().any(|line| (spot.line..=spot.last_line).contains(line));
            // A variable's name is no secret.
            let bare = !(value.starts_with("${") && value.ends_with('}'));
            if shown && bare && !value.is_empty() && is_secret(path, value) {
                spots.push(spot);
            }
        }
        true
    });
    spots
}
