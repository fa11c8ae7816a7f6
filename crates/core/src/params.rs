//! What a path template captured.

use smallvec::SmallVec;

/// The places in the path that a route's `{param}`s matched, in the order of [`Route::params`](crate::Route::params).
///
/// Offsets into the (normalised) path, so that matching allocates nothing for up to four parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(SmallVec<[(u32, u32); 4]>);

impl Params {
    /// Adds the next parameter's byte range.
    pub fn push(&mut self, start: usize, end: usize) {
        // A path longer than 4 GiB can't arrive: the head limit is far below.
        self.0.push((start as u32, end as u32));
    }

    /// Forgets all but the first `len` parameters; a matcher that backs up uses it.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// How many were captured.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none was captured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `index`-th parameter's text in `path`.
    pub fn slice<'p>(&self, index: usize, path: &'p str) -> Option<&'p str> {
        let (start, end) = *self.0.get(index)?;
        path.get(start as usize..end as usize)
    }
}
