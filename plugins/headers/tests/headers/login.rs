//! A plugin that takes a client's word for who it is, in place of a real one.

use serde::Deserialize;
use tidegate_core::facts::Identity;
use tidegate_core::{BuildCx, ConfigErrors, Cx, Flow, Handler, HeaderName, NoConfig, Plugin, Reply, Result, Route};

const WHO: HeaderName = HeaderName::from_static("x-login");

pub(crate) struct Login;

/// What a route asks of it.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct Policy {
    /// Who may come in.
    pub(crate) allow: Allow,
}

/// Who may come in.
#[derive(Deserialize, schemars::JsonSchema, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Allow {
    /// Everybody.
    #[default]
    Anybody,
    /// Those who say who they are.
    Known,
}

pub(crate) struct Door(Allow);

impl Plugin for Login {
    const NAME: &'static str = "login";
    type Config = NoConfig;
    type Policy = Policy;
    type Handler = Door;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Login)
    }

    fn handler(&self, policy: Policy, _: &Route) -> Result<Door, ConfigErrors> {
        Ok(Door(policy.allow))
    }
}

impl Handler for Door {
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        if let Some(who) = cx.head().header(&WHO).map(str::to_owned) {
            cx.set_identity(Identity::new(who, "test", serde_json::Map::new()));
        }
        Ok(Flow::Continue)
    }

    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        match cx.identity() {
            None if self.0 == Allow::Known => Ok(Flow::Respond(Reply::unauthorized("no_login", "who are you?"))),
            _ => Ok(Flow::Continue),
        }
    }
}
