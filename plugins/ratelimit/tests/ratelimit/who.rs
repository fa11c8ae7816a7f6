//! Stands in for the auth plugin: whoever says a name is believed.

use tidegate_core::facts::Identity;
use tidegate_core::{BuildCx, ConfigErrors, Cx, Flow, Handler, NoConfig, Plugin, Reply, Result, Route};

pub(crate) struct Who;

impl Plugin for Who {
    const NAME: &'static str = "who";
    type Config = NoConfig;
    type Policy = NoConfig;
    type Handler = Who;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }
    fn handler(&self, _: NoConfig, _: &Route) -> Result<Who, ConfigErrors> {
        Ok(Self)
    }
}

impl Handler for Who {
    /// `x-user: anna` is anna; `x-claims` are her claims as JSON; `x-user: nobody` is refused.
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        let head = cx.head();
        let Some(user) = head.headers.get("x-user").and_then(|user| user.to_str().ok()) else {
            return Ok(Flow::Continue);
        };
        if user == "nobody" {
            return Ok(Flow::Respond(Reply::unauthorized("unknown_user", "who?")));
        }
        let claims = head.headers.get("x-claims").and_then(|claims| serde_json::from_slice(claims.as_bytes()).ok());
        let identity = Identity::new(user, "who", claims.unwrap_or_default());
        cx.set_identity(identity);
        Ok(Flow::Continue)
    }
}
