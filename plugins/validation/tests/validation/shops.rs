//! A router that knows one path, with a parameter, so that rules about it need no other plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{
    BuildCx, ConfigErrors, ConfigPath, Cx, Endpoint, Match, Params, RawConfig, Reply, RequestHead, Result, RouteId,
    RouteSpec, RouteTable, Routed, Router, Serve, async_trait,
};

/// `/shops/{shop}/orders`; what is let through is answered with what the endpoint read.
pub(crate) struct Shops(RouteId);

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    plugins: BTreeMap<String, RawConfig>,
}

struct Echo;

#[async_trait]
impl Endpoint for Echo {
    async fn serve(&self, cx: &mut Cx<'_>) -> Result<Reply> {
        let body = cx.take_body(1 << 20).await?.unwrap_or_default();
        Ok(Reply::text(body))
    }
}

impl Router for Shops {
    const NAME: &'static str = "routing";
    type Config = Config;

    fn build(config: Config, table: &mut RouteTable, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut spec = RouteSpec::new("app".to_owned(), ConfigPath::root(), Serve::Here(Arc::new(Echo)));
        spec.params = vec!["shop".into()];
        spec.policies = config.plugins;
        Ok(Self(table.add(spec)))
    }

    fn route(&self, head: &RequestHead<'_>) -> Routed {
        let shop = head.path.strip_prefix("/shops/").and_then(|rest| rest.strip_suffix("/orders"));
        let Some(shop) = shop.filter(|shop| !shop.contains('/')) else { return Routed::None };
        let mut params = Params::default();
        params.push("/shops/".len(), "/shops/".len() + shop.len());
        Routed::Found(Match { route: self.0, params, path: None })
    }
}
