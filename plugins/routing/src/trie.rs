//! Paths to candidates: a tree of segments, in which the most specific pattern is found first.

use std::collections::HashMap;

use smallvec::SmallVec;
use tidegate_core::Params;

use crate::escape::decode_segment;
use crate::path::{LONGEST_SEGMENT, Named, PathPattern, Segment};

/// One way to a route: a path pattern of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The route's place in the table.
    pub(crate) route: u32,
    /// Which captured parts have names in it.
    pub(crate) named: Named,
}

/// Routes that are told apart by their conditions only, the most specific first.
pub(crate) type Leaf = SmallVec<[Candidate; 1]>;

/// The patterns of all hosts, each host with a root of its own.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
}

/// A place in a [`Trie`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

#[derive(Debug, Default)]
struct Node {
    fixed: Children,
    one: Option<NodeId>,
    here: Leaf,
    rest: Leaf,
}

/// Places of one-segment wildcards in the path. Few patterns have more than eight.
type Ones = SmallVec<[(usize, usize); 8]>;

/// The captured parts on the way to a leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captured<'w> {
    ones: &'w Ones,
    /// Where the open end begins, for a leaf that has one.
    rest: Option<usize>,
}

impl Trie {
    /// A root without patterns.
    pub(crate) fn root(&mut self) -> NodeId {
        self.add(Node::default())
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(u32::try_from(self.nodes.len() - 1).expect("memory ends before 4 billion nodes do"))
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// Adds a way to `route`; the same way twice is one.
    pub(crate) fn insert(&mut self, root: NodeId, pattern: &PathPattern, route: u32) {
        let end = pattern.segments.iter().fold(root, |at, segment| self.child(at, segment));
        let node = self.node_mut(end);
        let leaf = if pattern.rest.is_some() { &mut node.rest } else { &mut node.here };
        if leaf.last().is_none_or(|last| last.route != route) {
            leaf.push(Candidate { route, named: pattern.named() });
        }
    }

    fn child(&mut self, at: NodeId, segment: &Segment) -> NodeId {
        let known = match segment {
            Segment::Fixed(text) => self.node(at).fixed.get(text),
            Segment::One(_) => self.node(at).one,
        };
        known.unwrap_or_else(|| {
            let child = self.add(Node::default());
            match segment {
                Segment::Fixed(text) => self.node_mut(at).fixed.insert(text, child),
                Segment::One(_) => self.node_mut(at).one = Some(child),
            }
            child
        })
    }

    /// Every leaf that has candidates.
    pub(crate) fn leaves_mut(&mut self) -> impl Iterator<Item = &mut Leaf> {
        self.nodes.iter_mut().flat_map(|node| [&mut node.here, &mut node.rest]).filter(|leaf| !leaf.is_empty())
    }

    /// Shows `visit` the leaves that match `path` (normal), the most specific first, until it returns something.
    ///
    /// More specific is decided segment by segment, from the left: a fixed text before a wildcard, a wildcard
    /// before the rest, and the end of the pattern before an empty rest.
    pub(crate) fn walk<R>(
        &self,
        root: NodeId,
        path: &str,
        visit: &mut impl FnMut(&Leaf, Captured<'_>) -> Option<R>,
    ) -> Option<R> {
        Walk { trie: self, path, ones: Ones::new(), visit }.descend(root, 1)
    }
}

struct Walk<'w, V> {
    trie: &'w Trie,
    path: &'w str,
    ones: Ones,
    visit: &'w mut V,
}

impl<V> Walk<'_, V> {
    /// `from` is where the next segment begins; one past the end when there is none.
    fn descend<R>(&mut self, at: NodeId, from: usize) -> Option<R>
    where
        V: FnMut(&Leaf, Captured<'_>) -> Option<R>,
    {
        let trie = self.trie;
        let node = trie.node(at);
        let Some(rest) = self.path.as_bytes().get(from..) else {
            return self.show(&node.here, None).or_else(|| self.show(&node.rest, Some(self.path.len())));
        };
        let end = from + rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        if let Some(child) = self.fixed(node, from, end)
            && let Some(found) = self.descend(child, end + 1)
        {
            return Some(found);
        }
        if let Some(child) = node.one
            && end > from
        {
            let before = self.ones.len();
            self.ones.push((from, end));
            if let Some(found) = self.descend(child, end + 1) {
                return Some(found);
            }
            self.ones.truncate(before);
        }
        self.show(&node.rest, Some(from))
    }

    fn fixed(&self, node: &Node, from: usize, end: usize) -> Option<NodeId> {
        if node.fixed.is_empty() {
            return None;
        }
        let segment = self.path.get(from..end)?;
        match segment.contains('%') {
            false => node.fixed.get(segment.as_bytes()),
            true => node.fixed.get(decode_segment(segment, &mut [0; LONGEST_SEGMENT])?),
        }
    }

    fn show<R>(&mut self, leaf: &Leaf, rest: Option<usize>) -> Option<R>
    where
        V: FnMut(&Leaf, Captured<'_>) -> Option<R>,
    {
        if leaf.is_empty() { None } else { (self.visit)(leaf, Captured { ones: &self.ones, rest }) }
    }
}

impl Captured<'_> {
    /// What a candidate keeps of it.
    pub(crate) fn keep(self, named: Named, path: &str) -> Params {
        let mut kept = Params::default();
        for (at, (start, end)) in self.ones.iter().enumerate() {
            if named.ones >> at & 1 == 1 {
                kept.push(*start, *end);
            }
        }
        if let (true, Some(start)) = (named.rest, self.rest) {
            kept.push(start, path.len());
        }
        kept
    }
}

/// The fixed segments below a node. Few are searched, many are hashed, so that a look-up stays flat.
#[derive(Debug, Default)]
enum Children {
    #[default]
    None,
    Few(Vec<(Box<[u8]>, NodeId)>),
    Many(HashMap<Box<[u8]>, NodeId>),
}

/// Up to this many, looking at each is quicker than hashing.
const FEW: usize = 6;

impl Children {
    fn is_empty(&self) -> bool {
        matches!(self, Children::None)
    }

    fn get(&self, segment: &[u8]) -> Option<NodeId> {
        match self {
            Children::None => None,
            Children::Few(few) => few.iter().find(|(text, _)| **text == *segment).map(|(_, id)| *id),
            Children::Many(many) => many.get(segment).copied(),
        }
    }

    fn insert(&mut self, segment: &[u8], id: NodeId) {
        match self {
            Children::None => *self = Children::Few(vec![(segment.into(), id)]),
            Children::Few(few) if few.len() < FEW => few.push((segment.into(), id)),
            Children::Few(few) => {
                *self = Children::Many(few.drain(..).chain([(segment.into(), id)]).collect());
            }
            Children::Many(many) => drop(many.insert(segment.into(), id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks all the way and lists the leaves by their first route's pattern, the most specific first.
    fn order(patterns: &[&str], path: &str) -> Vec<String> {
        let mut trie = Trie::default();
        let root = trie.root();
        for (route, pattern) in patterns.iter().enumerate() {
            trie.insert(root, &pattern.parse().expect(pattern), route as u32);
        }
        let mut seen = Vec::new();
        let _: Option<()> = trie.walk(root, path, &mut |leaf, captured| {
            let kept = captured.keep(leaf[0].named, path);
            let params = (0..kept.len()).filter_map(|at| kept.slice(at, path)).collect::<Vec<_>>().join(",");
            seen.push(format!("{}[{params}]", patterns[leaf[0].route as usize]));
            None
        });
        seen
    }

    #[test]
    fn leaves_come_the_most_specific_first_with_their_parameters() {
        let patterns = ["/**", "/a/**", "/{x}/b", "/a/{y}", "/a/b", "/a/b/{rest**}", "/{x}/{y}"];
        assert_eq!(
            order(&patterns, "/a/b"),
            ["/a/b[]", "/a/b/{rest**}[]", "/a/{y}[b]", "/a/**[]", "/{x}/b[a]", "/{x}/{y}[a,b]", "/**[]"]
        );
        assert_eq!(order(&patterns, "/a/b/c/d"), ["/a/b/{rest**}[c/d]", "/a/**[]", "/**[]"]);
        assert_eq!(order(&patterns, "/a"), ["/a/**[]", "/**[]"]);
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let patterns = ["/api/**"];
        for (path, matches) in
            [("/api", 1), ("/api/", 1), ("/api/x", 1), ("/apiary", 0), ("/API", 0), ("/ap", 0), ("/", 0)]
        {
            assert_eq!(order(&patterns, path).len(), matches, "{path}");
        }
    }

    #[test]
    fn a_wildcard_is_one_segment_and_never_empty() {
        for (path, matches) in [("/u/7", 1), ("/u/", 0), ("/u", 0), ("/u/7/", 0), ("/u/7/x", 0), ("/u/%2F", 1)] {
            assert_eq!(order(&["/u/*"], path).len(), matches, "{path}");
        }
    }

    #[test]
    fn encoded_and_plain_spellings_of_a_segment_are_the_same() {
        assert_eq!(order(&["/a,b/**"], "/a%2Cb/x").len(), 1);
        assert_eq!(order(&["/%40me"], "/@me").len(), 1);
        assert_eq!(order(&["/b%C3%BC"], "/b%C3%BC").len(), 1);
        assert_eq!(order(&["/a/b"], "/a%2Fb").len(), 0, "an encoded slash divides no segments");
        assert_eq!(order(&["/a"], &format!("/{}", "%2C".repeat(300))).len(), 0);
    }

    #[test]
    fn only_named_parts_are_kept() {
        assert_eq!(order(&["/*/{b}/*/{d}/**"], "/1/2/3/4/5"), ["/*/{b}/*/{d}/**[2,4]"]);
        assert_eq!(order(&["/files/{rest**}"], "/files"), ["/files/{rest**}[]"]);
        assert_eq!(order(&["/files/{rest**}"], "/files/a/b"), ["/files/{rest**}[a/b]"]);
    }

    #[test]
    fn many_children_are_found_as_few_are() {
        let patterns: Vec<String> = (0..100).map(|n| format!("/n{n}/x")).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        for n in 0..100 {
            assert_eq!(order(&patterns, &format!("/n{n}/x")).len(), 1);
        }
        assert!(order(&patterns, "/n100/x").is_empty());
    }
}
