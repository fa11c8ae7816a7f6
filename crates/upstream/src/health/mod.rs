//! Active health: each target is asked, beside the requests, how it is.
//!
//! A check is a question on a connection of its own: it is to find out whether one can be made. What a row of
//! answers means for the target is decided in `checks`; when the next one is due, in `checker`.

use std::sync::Arc;

use futures_util::StreamExt;

use crate::life::Life;
use crate::pool::Pool;
use crate::state::Reason;
use crate::target::LiveTarget;

mod checker;
mod checks;
mod expect;
mod grpc;
mod http;
mod probe;
mod tcp;
#[cfg(test)]
mod tests;

pub(crate) use checks::Checks;

use checker::{Checker, MOST_CHECKS};
use checks::{Standing, Verdict, verdict};
use probe::probe;

/// Checks each target again and again, for as long as it is listed.
pub(crate) async fn keep_checking(mut life: Life) {
    let Some(mut checker) = life.pool().and_then(|pool| Checker::new(&pool)) else { return };
    loop {
        let Some(wait) = checker.start_due(&life) else { return };
        let mut waiting = life.clone();
        tokio::select! {
            Some(ended) = checker.next_ended() => checker.settle(&life, ended),
            goes_on = waiting.sleep_or_changed(wait) => {
                if !goes_on {
                    return;
                }
                life = waiting;
            }
        }
    }
}

/// Checks each target that may not serve before its first check, once.
pub(crate) async fn check_first(pool: &Arc<Pool>) {
    let Some(health) = &pool.config.health else { return };
    let unchecked: Vec<_> = {
        let view = pool.view();
        view.targets().iter().filter(|target| target.state.has(Reason::Unchecked)).cloned().collect()
    };
    let checks = unchecked.into_iter().map(|target| async move {
        target.state.checks.plan_next(pool.now(), health);
        let result = probe(&target, health).await;
        pool.checked(&target, result);
    });
    futures_util::stream::iter(checks).buffer_unordered(MOST_CHECKS).collect::<()>().await;
}

impl Pool {
    /// Takes the result of a check.
    pub(crate) fn checked(&self, target: &LiveTarget, result: Result<(), String>) {
        let Some(health) = &self.config.health else { return };
        let standing = Standing::of(&target.state);
        let row = target.state.checks.note(&result, self.now());
        if let Err(why) = &result {
            let (upstream, name, address) = (&*self.name, &*target.spec.name, &*target.address);
            log::debug!(upstream, target = name, address, why; "health check failed");
        }
        match verdict(standing, result.is_ok(), row, health) {
            Some(Verdict::Good) => {
                self.mark(target, Reason::Unchecked, false, "first check passed");
            }
            Some(Verdict::Bad) => {
                let registry = self.registry.lock();
                // In this order, so that it serves at no moment between.
                self.note(target, Reason::Unhealthy, true, &reason(&result));
                self.note(target, Reason::Unchecked, false, "its first check failed");
                self.rebuild(&registry);
            }
            Some(Verdict::Out) => {
                self.mark(target, Reason::Unhealthy, true, &reason(&result));
            }
            Some(Verdict::Back) => {
                self.mark(target, Reason::Unhealthy, false, "health checks pass");
            }
            None => {}
        }
        self.metrics.checked(target, result.is_ok());
    }
}

fn reason(result: &Result<(), String>) -> String {
    let why = result.as_ref().err().map_or("", String::as_str);
    format!("health check: {why}")
}
