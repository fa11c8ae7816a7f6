//! `/cache/…` on the admin listener: what is stored, purges, warming, and what would become of a URL.

mod explain;
mod purge;
mod warm;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::{Admin, AdminRequest, Clock, Http, Method, Reply, StatusCode, Stop, async_trait};

use tokio::sync::watch;

use crate::purge::{Fleet, Marks};
use crate::warm::Warmer;

/// What operators see and do.
pub(crate) struct Pages {
    pub(crate) zones: BTreeMap<String, ZonePages>,
    pub(crate) clock: Clock,
    pub(crate) warmer: Option<Arc<Warmer>>,
    /// Asks the gateway itself.
    pub(crate) gateway: Http,
    /// Tells what an operator has begun to stop.
    pub(crate) stop: Stop,
    /// Whose end is the end of what is begun: it goes with the plugin.
    pub(crate) _sender: Arc<watch::Sender<bool>>,
}

/// One zone's.
pub(crate) struct ZonePages {
    pub(crate) marks: &'static Marks,
    /// What is stored, in numbers.
    pub(crate) list: Box<dyn Fn() -> Value + Send + Sync>,
    pub(crate) fleet: Option<Fleet>,
}

#[async_trait]
impl Admin for Pages {
    fn paths(&self) -> &'static [&'static str] {
        &["zones", "purge", "warm", "explain"]
    }

    async fn answer(&self, request: &AdminRequest<'_>) -> Option<Reply> {
        let allowed = match request.path {
            "zones" if *request.method == Method::GET => return Some(Reply::json(&self.listed())),
            "purge" if *request.method == Method::POST => return Some(self.purge(request).await),
            "warm" => return Some(warm::answer(self.warmer.as_ref(), &self.stop, request)),
            "explain" if *request.method == Method::POST => return Some(explain::answer(&self.gateway, request).await),
            "zones" => "GET",
            "purge" | "explain" => "POST",
            _ => return None,
        };
        Some(Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method", allowed))
    }
}

impl Pages {
    fn listed(&self) -> Value {
        let zones = self.zones.iter().map(|(name, zone)| {
            let mut listed = (zone.list)();
            listed["purges"] = json!(zone.marks.len());
            (name.clone(), listed)
        });
        json!({ "zones": zones.collect::<serde_json::Map<_, _>>() })
    }
}
