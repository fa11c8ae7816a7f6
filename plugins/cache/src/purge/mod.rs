//! What is no longer to be used although its time isn't over. A purge removes nothing by itself: it leaves a mark with
//! its time, and each stored answer is compared with the marks when it is next asked for. That takes the same time
//! for one answer and for a million.

mod asked;
mod fleet;
mod journal;
mod labels;
mod mark;
mod marks;
mod method;

#[cfg(test)]
mod tests;

pub(crate) use self::fleet::{Fleet, follow};
pub(crate) use self::labels::{Place, url_of};
pub(crate) use self::mark::{Mark, Target};
pub(crate) use self::marks::{Marks, Verdict};
pub(crate) use self::method::{purge, purge_by_method};
