//! The places of things in a YAML text.
//!
//! `serde_yaml` reads values but forgets where they stood. So the text is read a second time, by a parser that
//! reports positions, when there is an error to be placed, and only then.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use tidegate_core::config::{ConfigPath, Segment};

use crate::limits;

/// A place in a text: line and column count from 1, the width is that of what stands there on the first line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) width: usize,
    /// The last line of it.
    pub(crate) last_line: usize,
    /// The column after its end, on its last line.
    pub(crate) end_column: usize,
}

impl Spot {
    pub(crate) fn at(line: usize, column: usize) -> Self {
        Self { line, column, width: 1, last_line: line, end_column: column + 1 }
    }

    /// Inside of the text: an error at its end is on its last line.
    pub(crate) fn within(self, lines: &[&str]) -> Self {
        let width = |line: usize| lines.get(line - 1).map_or(0, |text| text.chars().count());
        match lines.len().max(1) {
            last if self.line > last => Self::at(last, width(last) + 1),
            _ => Self { column: self.column.min(width(self.line) + 1), ..self },
        }
    }

    fn of(span: Span) -> Self {
        let (start, end) = (span.start, span.end);
        let (column, end_column) = (start.col() + 1, end.col() + 1);
        let same_line = start.line() == end.line();
        let width = if same_line { end_column.saturating_sub(column) } else { 1 };
        Self { line: start.line().max(1), column, width, last_line: end.line(), end_column }
    }
}

/// What the walker comes by.
pub(crate) enum Step<'s> {
    /// A key, at the end of the path.
    Key { path: &'s [Segment], name: &'s str, spot: Spot, plain: bool, earlier: Option<Spot> },
    /// The value at the path.
    Value { path: &'s [Segment], key: Option<Spot>, spot: Spot, node: Node<'s> },
    /// What no configuration has.
    Odd { spot: Spot, path: &'s [Segment], oddity: Oddity },
}

/// The kind of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node<'s> {
    Scalar(&'s str),
    Alias,
    Container,
}

/// What YAML has and a configuration has not.
pub(crate) enum Oddity {
    Tag(String),
    ComplexKey,
    SecondDocument,
    TooDeep,
}

/// Walks through `text`, calling `on_step` until it returns false. `Err` is where the text stops being YAML.
pub(crate) fn walk(text: &str, on_step: impl FnMut(Step<'_>) -> bool) -> Result<(), ScanError> {
    let mut walker =
        Walker { on_step, frames: Vec::new(), path: Vec::new(), skipping: 0, documents: 0, stopped: false };
    for event in Parser::new(StrInput::new(text)) {
        let (event, span) = event?;
        walker.on_event(&event, span);
        if walker.stopped {
            break;
        }
    }
    Ok(())
}

/// The line and column of a parser's mark; both count from 1.
pub(crate) fn place(mark: &Marker) -> Spot {
    Spot::at(mark.line().max(1), mark.col() + 1)
}

enum Frame {
    Map { seen: HashMap<Arc<str>, Spot>, key: Option<Spot> },
    Seq { next: usize },
}

struct Walker<F> {
    on_step: F,
    frames: Vec<Frame>,
    path: Vec<Segment>,
    /// How many containers deep we are in a key that is not a scalar.
    skipping: usize,
    documents: usize,
    stopped: bool,
}

impl<F: FnMut(Step<'_>) -> bool> Walker<F> {
    fn on_event(&mut self, event: &Event<'_>, span: Span) {
        if self.skipping > 0 {
            return self.skip(event);
        }
        let spot = Spot::of(span);
        match event {
            Event::DocumentStart(_) => self.on_document(spot),
            Event::Alias(_) => self.on_leaf(spot, Node::Alias, "", false),
            Event::Scalar(text, style, _, tag) => {
                let empty = span.is_empty() && *style == ScalarStyle::Plain;
                let text: &str = if empty { "" } else { text };
                self.on_tag(tag.as_deref(), spot);
                self.on_leaf(spot, Node::Scalar(text), text, *style == ScalarStyle::Plain);
            }
            Event::SequenceStart(_, tag) => {
                self.on_tag(tag.as_deref(), spot);
                self.on_container(spot, Frame::Seq { next: 0 });
            }
            Event::MappingStart(_, tag) => {
                self.on_tag(tag.as_deref(), spot);
                self.on_container(spot, Frame::Map { seen: HashMap::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.frames.pop();
                self.leave_value();
            }
            _ => {}
        }
    }

    fn skip(&mut self, event: &Event<'_>) {
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => self.skipping += 1,
            Event::SequenceEnd | Event::MappingEnd => self.skipping -= 1,
            _ => {}
        }
    }

    fn tell<'s>(&'s mut self, step: impl FnOnce(&'s [Segment]) -> Step<'s>) {
        self.stopped |= !(self.on_step)(step(&self.path));
    }

    fn odd(&mut self, spot: Spot, oddity: Oddity) {
        self.tell(|path| Step::Odd { spot, path, oddity });
    }

    fn on_document(&mut self, spot: Spot) {
        self.documents += 1;
        if self.documents > 1 {
            self.odd(spot, Oddity::SecondDocument);
            // Its keys are not ours.
            self.stopped = true;
        }
    }

    fn on_tag(&mut self, tag: Option<&Tag>, spot: Spot) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.odd(spot, Oddity::Tag(tag.to_string()));
        }
    }

    /// Whether the next node is a key, and not a value.
    fn wants_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Map { key: None, .. }))
    }

    fn on_leaf(&mut self, spot: Spot, node: Node<'_>, text: &str, plain: bool) {
        if !self.wants_key() {
            self.enter_value(spot, node);
            self.leave_value();
        } else if node == Node::Alias {
            self.odd(spot, Oddity::ComplexKey);
            self.enter_key("*", spot);
        } else {
            let earlier = self.enter_key(text, spot);
            self.tell(|path| Step::Key { path, name: text, spot, plain, earlier });
        }
    }

    fn on_container(&mut self, spot: Spot, frame: Frame) {
        // The end of a container's span is not the end of the container.
        let spot = Spot::at(spot.line, spot.column);
        if self.wants_key() {
            self.odd(spot, Oddity::ComplexKey);
            self.enter_key("?", spot);
            self.skipping = 1;
            return;
        }
        self.enter_value(spot, Node::Container);
        if self.frames.len() == limits::DEPTH {
            self.odd(spot, Oddity::TooDeep);
            self.stopped = true;
        }
        self.frames.push(frame);
    }

    fn enter_key(&mut self, name: &str, spot: Spot) -> Option<Spot> {
        let Some(Frame::Map { seen, key }) = self.frames.last_mut() else { return None };
        *key = Some(spot);
        let name: Arc<str> = name.into();
        self.path.push(Segment::Key(name.clone()));
        match seen.get(&name) {
            Some(earlier) => Some(*earlier),
            None => seen.insert(name, spot),
        }
    }

    fn enter_value(&mut self, spot: Spot, node: Node<'_>) {
        let key = match self.frames.last_mut() {
            Some(Frame::Map { key, .. }) => *key,
            Some(Frame::Seq { next }) => {
                self.path.push(Segment::Index(*next));
                *next += 1;
                None
            }
            None => None,
        };
        self.tell(|path| Step::Value { path, key, spot, node });
    }

    fn leave_value(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            self.path.pop();
            if let Frame::Map { key, .. } = frame {
                *key = None;
            }
        }
    }
}

/// The path made of these segments.
pub(crate) fn path_of(segments: &[Segment]) -> ConfigPath {
    segments.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<String> {
        let mut steps = Vec::new();
        walk(text, |step| {
            steps.push(match step {
                Step::Key { path, spot, earlier, .. } => {
                    format!("key {} {}:{}+{} {}", path_of(path), spot.line, spot.column, spot.width, earlier.is_some())
                }
                Step::Value { path, spot, .. } => {
                    format!("value {} {}:{}+{}", path_of(path), spot.line, spot.column, spot.width)
                }
                Step::Odd { spot, .. } => format!("odd {}:{}", spot.line, spot.column),
            });
            true
        })
        .unwrap();
        steps
    }

    #[test]
    fn each_thing_has_its_path_and_place() {
        assert_eq!(
            steps("a:\n  - b: \"x\"\n    ü: [1, 22]\n"),
            [
                "value  1:1+1",
                "key a 1:1+1 false",
                "value a 2:3+1",
                "value a[0] 2:5+1",
                "key a[0].b 2:5+1 false",
                "value a[0].b 2:8+3",
                "key a[0].\"ü\" 3:5+1 false",
                "value a[0].\"ü\" 3:8+1",
                "value a[0].\"ü\"[0] 3:9+1",
                "value a[0].\"ü\"[1] 3:12+2",
            ]
        );
    }

    #[test]
    fn a_second_key_is_told_with_the_first() {
        assert!(steps("a: 1\nb: 2\na: 3\n").contains(&"key a 3:1+1 true".to_owned()));
    }

    #[test]
    fn what_a_configuration_has_not_is_told() {
        assert_eq!(steps("? [a]\n: 1\n")[1], "odd 1:3");
        assert_eq!(steps("a: !b c\n")[2], "odd 1:4");
        assert!(steps("a: 1\n---\nb: 1\n").contains(&"odd 2:1".to_owned()));
    }
}
