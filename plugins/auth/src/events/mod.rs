//! What is told of logins, failures and theft.

mod event;
mod places;
mod queue;
mod sign;
mod webhook;

use std::sync::Arc;

use tidegate_core::prometheus::IntCounter;
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors};

pub(crate) use event::{Event, EventKind, Origin};

use crate::config::service::{Events as EventsConfig, NewPlace};
use crate::id::Millis;
use webhook::Hook;

/// Tells the log, the metrics and the webhook.
pub(crate) struct Events {
    /// By [`EventKind`], in the order of its declaration.
    counts: Vec<IntCounter>,
    new_login: Vec<NewPlace>,
    hook: Option<Arc<Hook>>,
    clock: Clock,
}

impl Events {
    /// Errors are relative to `service.events`.
    pub(crate) fn build(config: &EventsConfig, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let help = "Logins, failures, thefts and the like, by what they were";
        let counts = cx.metrics().counter("tidegate_auth_events_total", help, &["event"]);
        let counts = errors.collect(counts.map_err(|error| ConfigError::at("", error.to_string())));
        let hook = config.webhook.as_ref().map(|webhook| Hook::build(webhook, cx));
        let hook = errors.collect(hook.transpose().map_err(|e| e.under(&"webhook".into()))).flatten();
        let Some(counts) = counts.filter(|_| errors.is_empty()) else { return Err(errors) };
        let counts = EventKind::ALL.iter().map(|kind| counts.with_label_values(&[kind.as_str()])).collect();
        let new_login = config.new_login.clone().unwrap_or_else(|| vec![NewPlace::Device, NewPlace::Place]);
        Ok(Arc::new(Self { counts, new_login, hook, clock: cx.clock().clone() }))
    }

    /// Never waits.
    pub(crate) fn emit(&self, event: Event) {
        if let Some(count) = self.counts.get(event.kind as usize) {
            count.inc();
        }
        write(&event);
        if let Some(hook) = &self.hook {
            hook.tell(&event, Millis::of(self.clock.wall()));
        }
    }
}

/// A line in the log.
fn write(event: &Event) {
    let text = |id: Option<crate::id::Id>| id.map(|id| id.text());
    log::log!(
        target: "tidegate_auth::events",
        event.kind.level(),
        event = event.kind.as_str(),
        user = text(event.user),
        session = text(event.session),
        client:% = event.origin.client,
        country = event.origin.country.as_ref().map(|country| country.as_str()),
        request_id = event.origin.request_id.as_str();
        "auth event"
    );
}

#[cfg(test)]
mod tests;
