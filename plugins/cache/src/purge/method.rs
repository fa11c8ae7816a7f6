//! `PURGE`: a request that purges its own URL.

use tidegate_core::facts::Identity;
use tidegate_core::{Reply, StatusCode};

use super::mark::{Mark, Target};
use super::{Fleet, Marks};
use crate::config::PurgeMethod;

/// The answer to `PURGE` for a URL as marks know it, by somebody. Whether a plugin has proved who they are is for the route to ask
/// (`auth: require`); nobody may purge whom nobody knows.
pub(crate) async fn purge_by_method(
    allowed: &PurgeMethod,
    who: Option<&Identity>,
    url: String,
    soft: bool,
    marks: &'static Marks,
    fleet: Option<&Fleet>,
    wall: std::time::SystemTime,
) -> Reply {
    let Some(who) = who else {
        return Reply::problem(StatusCode::UNAUTHORIZED, "purge_anonymous", "say who you are to purge");
    };
    if !allowed.roles.iter().any(|role| who.has_role(role)) {
        return Reply::problem(StatusCode::FORBIDDEN, "purge_forbidden", "you may not purge");
    }
    purge(&Mark { target: Target::Url(url.into()), soft }, marks, fleet, wall).await
}

/// Leaves the mark here and with the fleet, and says how far it got.
pub(crate) async fn purge(
    mark: &Mark,
    marks: &'static Marks,
    fleet: Option<&Fleet>,
    wall: std::time::SystemTime,
) -> Reply {
    let copy = mark.clone();
    let added = tokio::task::spawn_blocking(move || marks.add(&copy, wall)).await;
    if let Err(error) = added.map_err(std::io::Error::other).and_then(|added| added) {
        log::error!(mark:%, error:%; "a purge is in force, but not kept on the disk");
        return Reply::unavailable("purge_not_kept", "purged until a restart: it can't be kept on the disk");
    }
    log::info!(mark:%; "purged");
    if let Some(fleet) = fleet
        && let Err(error) = fleet.tell(mark).await
    {
        log::error!(mark:%, error:%; "purged here, but other gateways could not be told");
        return Reply::unavailable("purge_not_told", "purged here, but other gateways could not be told");
    }
    Reply::json(&serde_json::json!({ "purged": mark.to_string(), "soft": mark.soft }))
}
