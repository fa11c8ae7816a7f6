//! Weighted splits that move no more users than they must.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderName;

/// Several upstreams for one route, each with its share.
#[derive(Debug, Clone)]
pub struct Split {
    /// The upstreams and their weights.
    pub arms: Vec<SplitArm>,
    /// What keeps a user on one side; `None` decides for each request anew.
    pub stick_by: Vec<StickBy>,
}

/// One upstream of a split.
#[derive(Debug, Clone)]
pub struct SplitArm {
    /// Its name under `upstreams:`.
    pub upstream: String,
    /// Its share among the weights of all arms; 0 gets nothing.
    pub weight: u32,
}

/// What a split knows a user by. The first that a request has counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickBy {
    /// A request header's value.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(String),
    /// The identity's subject; requests with none are decided anew.
    Identity,
    /// The client's address.
    Client,
}

impl Split {
    /// Which arm serves `user` (a hash of what the split knows it by, or a random number).
    ///
    /// Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): each arm draws a score from the user and
    /// its own name, and the best wins. When weights change, only users whose winner changes move, and none
    /// moves between two arms whose weights stayed.
    pub fn choose(&self, user: u64) -> usize {
        let scores = self.arms.iter().map(|arm| score(user, arm));
        let best = scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(0, |(index, _)| index)
    }
}

/// `-w / ln(u)` with `u` uniform in (0, 1): the larger the weight, the better the odds, exactly in proportion.
fn score(user: u64, arm: &SplitArm) -> f64 {
    if arm.weight == 0 {
        return f64::NEG_INFINITY;
    }
    // DefaultHasher::new has fixed keys: the same on every gateway of one version.
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    arm.upstream.hash(&mut hasher);
    let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(arm.weight) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(weights: &[(&str, u32)]) -> Split {
        let arms = weights.iter().map(|&(name, weight)| SplitArm { upstream: name.into(), weight }).collect();
        Split { arms, stick_by: vec![] }
    }

    #[test]
    fn shares_follow_the_weights_within_a_third_of_a_point() {
        let split = split(&[("new", 10), ("old", 90)]);
        let new = (0..100_000).filter(|&user| split.choose(user) == 0).count();
        assert!((9_700..=10_300).contains(&new), "{new}");
    }

    #[test]
    fn a_change_of_weights_moves_only_the_users_it_must() {
        let (before, after) = (split(&[("new", 10), ("old", 90)]), split(&[("new", 20), ("old", 80)]));
        let moved: Vec<_> = (0..100_000).filter(|&u| before.choose(u) != after.choose(u)).collect();
        assert!(moved.iter().all(|&u| after.choose(u) == 0), "nobody goes back to the old one");
        assert!((9_500..=10_500).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn an_arm_without_weight_gets_nobody() {
        let split = split(&[("new", 0), ("old", 1)]);
        assert!((0..10_000).all(|user| split.choose(user) == 1));
    }
}
