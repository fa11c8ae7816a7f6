//! `/cache/purge`.

use tidegate_core::{AdminRequest, Reply, StatusCode};

use super::{Pages, ZonePages};
use crate::purge::{Mark, Target, purge};

impl Pages {
    /// `POST /cache/purge`: exactly one of `url=`, `prefix=`, `host=`, `tag=` and `all=true`; `soft=true`, `zone=`.
    pub(super) async fn purge(&self, request: &AdminRequest<'_>) -> Reply {
        self.try_to_purge(request).await.unwrap_or_else(|refused| refused)
    }

    async fn try_to_purge(&self, request: &AdminRequest<'_>) -> Result<Reply, Reply> {
        let mark = mark(request)?;
        let names: Vec<&String> = self.zones.keys().collect();
        let zones: Vec<&ZonePages> = match request.query("zone") {
            None => self.zones.values().collect(),
            Some(name) => match self.zones.get(&*name) {
                Some(zone) => vec![zone],
                None => {
                    let why = format!("there is no zone of that name; there are {names:?}");
                    return Err(Reply::problem(StatusCode::NOT_FOUND, "zone", why));
                }
            },
        };
        let mut reply = Reply::bad_request("zone", "there is no zone");
        for zone in zones {
            reply = purge(&mark, zone.marks, zone.fleet.as_ref(), self.clock.wall()).await;
            if reply.status() != StatusCode::OK {
                break;
            }
        }
        Ok(reply)
    }
}

/// What the query asks for: exactly one of `url`, `prefix`, `host`, `tag` and `all=true`, and `soft=true`.
fn mark(request: &AdminRequest<'_>) -> Result<Mark, Reply> {
    const HOW: &str =
        "say what to purge by one of url=, prefix=, host=, tag= and all=true; soft=true keeps it as stale";
    let bad = |why: &'static str| Reply::bad_request("purge", why);
    let mut targets = Vec::new();
    for (name, make) in [("url", Target::url as fn(&str) -> _), ("prefix", Target::prefix), ("host", Target::host)] {
        if let Some(text) = request.query(name) {
            targets.push(make(&text).map_err(bad)?);
        }
    }
    if let Some(tag) = request.query("tag") {
        targets.push(Target::tag(&tag).map_err(bad)?);
    }
    if flag(request, "all")? {
        targets.push(Target::All);
    }
    match (targets.pop(), targets.is_empty()) {
        (Some(target), true) => Ok(Mark { target, soft: flag(request, "soft")? }),
        _ => Err(bad(HOW)),
    }
}

fn flag(request: &AdminRequest<'_>, name: &str) -> Result<bool, Reply> {
    match request.query(name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Reply::bad_request("purge", "all and soft are true or false")),
    }
}
