//! Who serves: of all targets those of one tier that are usable, near ones before far ones; or, when too few are
//! usable to believe it, all of them.

use std::sync::Arc;

use crate::config::LbFields;
use crate::state::Reason;
use crate::target::LiveTarget;

type Targets = Vec<Arc<LiveTarget>>;

/// Who serves now.
#[derive(Default)]
pub(crate) struct Serving {
    /// In the gateway's own zone; everybody, where zones don't matter.
    pub(crate) near: Targets,
    /// In other zones.
    pub(crate) far: Targets,
    /// The share of requests that the near ones get, from 0 to 1.
    pub(crate) stay: f64,
    /// Usable targets of later tiers, the nearest tier first: for requests that have failed at all who serve.
    pub(crate) reserve: Targets,
    /// Whether targets serve that aren't usable.
    pub(crate) panic: bool,
}

impl Serving {
    pub(crate) fn of(targets: &[Arc<LiveTarget>], lb: &LbFields) -> Self {
        let Some(tier) = tier(targets, lb) else { return Self::default() };
        let of_tier: Targets = targets.iter().filter(|target| target.spec.priority == tier).cloned().collect();
        let panic = is_misjudged(&of_tier, lb);
        let members = if panic { despite(&of_tier) } else { of_tier.iter().filter(usable).cloned().collect() };
        let mut reserve: Targets =
            targets.iter().filter(|target| target.spec.priority > tier).filter(usable).cloned().collect();
        reserve.sort_by_key(|target| target.spec.priority);
        let (near, far, stay) = zones(members, &of_tier, lb);
        Self { near, far, stay, reserve, panic }
    }
}

fn usable(target: &&Arc<LiveTarget>) -> bool {
    target.state.is_usable()
}

/// Whether what is known of a target is a judgement that may be wrong. That an operator took it out is none, and of
/// one that nobody has asked yet nothing is known.
fn judged(target: &&Arc<LiveTarget>) -> bool {
    !target.state.has(Reason::Draining) && !target.state.has(Reason::Unchecked)
}

/// The first tier with a usable target. If there is none at all, and that may be a misjudgement, the first that has
/// somebody.
fn tier(targets: &[Arc<LiveTarget>], lb: &LbFields) -> Option<u32> {
    let first =
        |of: &dyn Fn(&&Arc<LiveTarget>) -> bool| targets.iter().filter(of).map(|target| target.spec.priority).min();
    let may_panic = lb.panic_threshold.basis_points() > 0;
    let anybody = || first(&judged).or_else(|| first(&|target| !target.state.has(Reason::Draining)));
    first(&usable).or_else(|| anybody().filter(|_| may_panic))
}

/// Whether so few of the tier are usable that the rest is likely not broken but misjudged.
fn is_misjudged(of_tier: &[Arc<LiveTarget>], lb: &LbFields) -> bool {
    let usable = of_tier.iter().filter(usable).count() as u64;
    let judged = of_tier.iter().filter(judged).count() as u64;
    usable * 10_000 < u64::from(lb.panic_threshold.basis_points()) * judged.max(1)
}

/// Those who serve whatever their health. A target that nobody has asked yet does so only where there are no others.
fn despite(of_tier: &[Arc<LiveTarget>]) -> Targets {
    let known: Targets = of_tier.iter().filter(judged).cloned().collect();
    match known.is_empty() {
        true => of_tier.iter().filter(|target| !target.state.has(Reason::Draining)).cloned().collect(),
        false => known,
    }
}

/// Near and far members, and the share that the near ones get.
fn zones(members: Targets, of_tier: &[Arc<LiveTarget>], lb: &LbFields) -> (Targets, Targets, f64) {
    let Some(zones) = &lb.zone_aware else { return (members, Targets::new(), 1.0) };
    let local = |target: &Arc<LiveTarget>| target.spec.zone.as_deref() == Some(&*zones.local);
    let listed = of_tier.iter().filter(|target| local(target)).count();
    let (near, far): (Targets, Targets) = members.into_iter().partition(local);
    let stay = match (near.is_empty(), far.is_empty()) {
        (true, _) => 0.0,
        (_, true) => 1.0,
        // One that drains is listed too: what it served goes elsewhere.
        _ => near.len() as f64 / listed as f64 / zones.min_local.as_fraction(),
    };
    (near, far, stay.min(1.0))
}
