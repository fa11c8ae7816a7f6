//! The targets of a pool at one moment, and who of them serves.

use std::collections::HashMap;
use std::sync::Arc;

use crate::balance::{Balance, Moment, Serving, Set, fits};
use crate::pick::{NoTarget, Pick};
use crate::target::LiveTarget;

/// A fixed set of targets; a new one takes its place when targets come, go, fall ill or recover.
pub(crate) struct View {
    targets: Box<[Arc<LiveTarget>]>,
    near: Set,
    far: Set,
    /// Of 2^32 lots so many choose a near target, if there are far ones.
    stay: u64,
    /// Usable targets of later tiers, in the order of tiers.
    reserve: Box<[Arc<LiveTarget>]>,
    /// Those to whom a browser may be sent back, by their cookies' values. The map's hash is keyed, and the values are
    /// signed: how long a search takes tells nothing of a value that isn't known already.
    by_cookie: HashMap<Arc<str>, Arc<LiveTarget>>,
    panic: bool,
}

impl View {
    pub(crate) fn new(targets: Vec<Arc<LiveTarget>>, balance: &Balance) -> Self {
        let Serving { near, far, stay, reserve, panic } = balance.serving(&targets);
        let all = near.iter().chain(&far).chain(&reserve);
        let cookie = |target: &Arc<LiveTarget>| Some((target.sticky.as_ref()?.value.clone(), target.clone()));
        let by_cookie = all.filter_map(cookie).collect();
        Self {
            targets: targets.into(),
            near: balance.near(near),
            far: balance.far(far),
            stay: (stay * 2_f64.powi(32)) as u64,
            reserve: reserve.into(),
            by_cookie,
            panic,
        }
    }

    /// All of them, in the order in which they are listed.
    pub(crate) fn targets(&self) -> &[Arc<LiveTarget>] {
        &self.targets
    }

    /// Those that requests may go to.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Arc<LiveTarget>> {
        self.near.members().iter().chain(self.far.members())
    }

    /// Those, and the ones of later tiers to which a request may go that has failed at all of them.
    pub(crate) fn reachable(&self) -> impl Iterator<Item = &Arc<LiveTarget>> {
        self.serving().chain(&self.reserve)
    }

    /// Whether targets serve that aren't usable, as too few are.
    pub(crate) fn panics(&self) -> bool {
        self.panic
    }

    /// Says so when a panic begins or ends with this view. Both are judgements on a pool, not on a target.
    pub(crate) fn tell_of_panic(&self, before: &Self, upstream: &str) {
        let (serving, targets) = (self.serving().count(), self.targets.len());
        match (before.panic, self.panic) {
            (false, true) => log::warn!(upstream, serving, targets; "too few targets are usable: all serve"),
            (true, false) => log::info!(upstream, serving, targets; "enough targets are usable again, or none is left"),
            _ => {}
        }
    }

    /// Why nothing could be chosen.
    pub(crate) fn why_none(&self) -> NoTarget {
        match (self.targets.is_empty(), self.serving().next().is_none()) {
            (true, _) => NoTarget::NoAddress,
            (_, true) => NoTarget::Unusable,
            (_, false) => NoTarget::Full,
        }
    }

    /// The target of one try: the one that the browser was on; or one that serves; or, for a request that has failed
    /// at all of those, one of a later tier; or, if there is none, one where it has failed before.
    pub(crate) fn choose(&self, cx: &Pick<'_>, moment: &Moment<'_>) -> Option<&Arc<LiveTarget>> {
        let again = || Pick { tried: &[], ..*cx };
        self.returning(cx).or_else(|| self.choose_serving(cx, moment)).or_else(|| match cx.tried.is_empty() {
            true => None,
            false => self.choose_reserve(cx, moment).or_else(|| self.choose_serving(&again(), moment)),
        })
    }

    /// The target of the cookie that the client sent, if it was made here.
    fn returning(&self, cx: &Pick<'_>) -> Option<&Arc<LiveTarget>> {
        self.by_cookie.get(cx.sticky?).filter(|target| fits(target, cx))
    }

    fn choose_serving(&self, cx: &Pick<'_>, moment: &Moment<'_>) -> Option<&Arc<LiveTarget>> {
        let stays = self.far.members().is_empty() || moment.lot() >> 32 < self.stay;
        let (first, second) = if stays { (&self.near, &self.far) } else { (&self.far, &self.near) };
        first.choose(cx, moment).or_else(|| second.choose(cx, moment))
    }

    fn choose_reserve(&self, cx: &Pick<'_>, moment: &Moment<'_>) -> Option<&Arc<LiveTarget>> {
        let tiers = self.reserve.chunk_by(|a, b| a.spec.priority == b.spec.priority);
        let in_tier = |tier: &'_ [Arc<LiveTarget>]| -> Option<usize> {
            let from = (moment.lot() as usize).checked_rem(tier.len())?;
            (from..tier.len()).chain(0..from).find(|place| tier.get(*place).is_some_and(|target| fits(target, cx)))
        };
        let mut tiers = tiers.filter_map(|tier| tier.get(in_tier(tier)?));
        tiers.next()
    }
}
