//! The line of an error, fit to be shown.

use tidegate_core::config::{ConfigPath, Redactions};

use crate::walk::Spot;

/// A line of the file without its secrets, and where in it the error is.
#[derive(Clone, Debug)]
pub(super) struct Excerpt {
    pub(super) line: String,
    /// Characters before the error.
    pub(super) before: usize,
    /// Characters of the error.
    pub(super) width: usize,
}

const MASK: &str = "***";
/// A longer line is shown in part.
const WIDEST: usize = 120;
/// How much of a long line is shown before the error.
const BEFORE: usize = 40;

impl Excerpt {
    /// `spot` in its line of the file, with what stands at `secrets` hidden.
    pub(super) fn of(line: &str, spot: &Spot, secrets: &[Spot]) -> Self {
        let mut marks = Marks { start: spot.column - 1, end: spot.column - 1 + spot.width };
        let mut chars: Vec<char> = line.chars().collect();
        // From the right, so that the columns to the left stay right.
        let mut ranges: Vec<_> = secrets.iter().filter_map(|secret| range_on(secret, spot.line, chars.len())).collect();
        // A block of text ends where the next thing begins.
        ranges.retain(|&(start, end)| chars[start..end].iter().any(|c| !c.is_whitespace()));
        ranges.sort_unstable();
        ranges.dedup();
        for (start, end) in ranges.into_iter().rev() {
            marks.splice(start, end);
            chars.splice(start..end, MASK.chars());
        }
        hide_by_words(&mut chars, &mut marks);
        marks.fit(chars.len());
        let shown = chars.into_iter().map(|c| if c.is_control() { ' ' } else { c }).collect();
        cut(shown, &marks)
    }
}

struct Marks {
    start: usize,
    end: usize,
}

impl Marks {
    /// The characters from `start` to `end` have become a mask.
    fn splice(&mut self, start: usize, end: usize) {
        let moved = |mark: usize, inside: usize| match mark {
            mark if mark <= start => mark,
            mark if mark >= end => mark - (end - start) + MASK.len(),
            _ => inside,
        };
        self.start = moved(self.start, start);
        self.end = moved(self.end, start + MASK.len());
    }

    fn fit(&mut self, length: usize) {
        self.start = self.start.min(length);
        self.end = self.end.clamp(self.start + 1, length.max(self.start + 1));
    }
}

/// The part of a secret that is on this line.
fn range_on(secret: &Spot, line: usize, length: usize) -> Option<(usize, usize)> {
    if !(secret.line..=secret.last_line).contains(&line) {
        return None;
    }
    let start = if secret.line == line { secret.column - 1 } else { 0 };
    let end = if secret.last_line == line { secret.end_column - 1 } else { length };
    let (start, end) = (start.min(length), end.min(length));
    (start < end).then_some((start, end))
}

/// Where the text is no YAML, or the secret a part of a value, only words can tell.
fn hide_by_words(chars: &mut Vec<char>, marks: &mut Marks) {
    let line: String = chars.iter().collect();
    if let Some(colon) = secret_key_end(&line) {
        let start = line[..colon].chars().count() + 1;
        let rest: String = line[colon + 1..].trim().to_owned();
        let shown = rest.is_empty()
            || rest.contains("${")
            || rest.contains(MASK)
            || rest.starts_with(['{', '['])
            || super::is_small_number(&rest);
        if !shown {
            let start = start + chars[start..].iter().take_while(|c| c.is_whitespace()).count();
            marks.splice(start, chars.len());
            chars.splice(start.., MASK.chars());
        }
    }
    let line: String = chars.iter().collect();
    let redacted = Redactions::default().apply(&line);
    if redacted != line {
        let same = line.chars().zip(redacted.chars()).take_while(|(a, b)| a == b).count();
        let removed = line.chars().count() - same;
        let fewer = line.chars().count().saturating_sub(redacted.chars().count());
        marks.start = if marks.start > same { marks.start.saturating_sub(fewer.min(removed)) } else { marks.start };
        marks.end = if marks.end > same { marks.end.saturating_sub(fewer.min(removed)) } else { marks.end };
        *chars = redacted.chars().collect();
    }
}

/// The place of the colon after a key that looks secret.
fn secret_key_end(line: &str) -> Option<usize> {
    line.match_indices(':').map(|(at, _)| at).find(|&at| {
        let before = line[..at].trim_end_matches(['"', '\'', ' ']);
        let key = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).next();
        key.is_some_and(|key| ConfigPath::root().key(key).looks_secret())
    })
}

fn cut(line: Vec<char>, marks: &Marks) -> Excerpt {
    let width = marks.end - marks.start;
    if line.len() <= WIDEST {
        return Excerpt { line: line.iter().collect(), before: marks.start, width };
    }
    let from = marks.start.saturating_sub(BEFORE);
    let to = (from + WIDEST).min(line.len());
    let mut shown = String::new();
    if from > 0 {
        shown.push('…');
    }
    shown.extend(&line[from..to]);
    if to < line.len() {
        shown.push('…');
    }
    let before = marks.start - from + usize::from(from > 0);
    Excerpt { line: shown, before, width: width.min(to.saturating_sub(marks.start)).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, column: usize, width: usize, secrets: &[Spot]) -> String {
        let spot = Spot { width, ..Spot::at(1, column) };
        let excerpt = Excerpt::of(line, &spot, secrets);
        format!("{}\n{}{}", excerpt.line, " ".repeat(excerpt.before), "^".repeat(excerpt.width))
    }

    #[test]
    fn the_caret_stands_below_the_error() {
        assert_eq!(shown("  path: x", 9, 1, &[]), "  path: x\n        ^");
        assert_eq!(shown("ü: ö", 4, 9, &[]), "ü: ö\n   ^");
        assert_eq!(shown("", 1, 1, &[]), "\n^");
    }

    #[test]
    fn a_secret_is_masked_and_the_caret_follows() {
        let secret = Spot { line: 1, column: 6, width: 7, last_line: 1, end_column: 13 };
        assert_eq!(shown("{ x: hunter2, bad: 1 }", 15, 3, &[secret]), "{ x: ***, bad: 1 }\n          ^^^");
        assert_eq!(shown("{ x: hunter2, bad: 1 }", 6, 7, &[secret]), "{ x: ***, bad: 1 }\n     ^^^");
    }

    #[test]
    fn a_secret_is_masked_where_the_text_is_no_yaml() {
        assert_eq!(shown("password: \"hunter2", 11, 1, &[]), "password: ***\n          ^^^");
        assert_eq!(shown("  - api_key: hunter2: x", 3, 1, &[]), "  - api_key: ***\n  ^");
        assert_eq!(
            shown("url: redis://u:hunter2@db/0 x", 29, 1, &[]),
            "url: redis://***@db/0 x\n                      ^"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_error() {
        let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let text = shown(&line, 501, 4, &[]);
        let (line, carets) = text.split_once('\n').unwrap();
        assert_eq!(line.chars().count(), WIDEST + 2);
        let at: String = line.chars().skip(carets.chars().take_while(|c| *c == ' ').count()).take(4).collect();
        assert_eq!(at, "HERE");
    }

    #[test]
    fn tabs_and_control_characters_take_one_place() {
        assert_eq!(shown("\ta\u{1b}[2J: b", 2, 1, &[]), " a [2J: b\n ^");
    }
}
