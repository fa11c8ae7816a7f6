//! A plugin that takes a client's word for who it is, in place of a real one.

use tidegate_core::facts::IdentityParts;
use tidegate_core::{
    BuildCx, ConfigErrors, Cx, Error, Flow, Handler, HeaderName, HeaderValue, NoConfig, Plugin, RequestHeader,
    ResponseHeader, Result, Route,
};

const WHO: HeaderName = HeaderName::from_static("x-login");
const ROLES: HeaderName = HeaderName::from_static("x-roles");
const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// `X-Login` says who it is, `X-Roles` what, and `X-Tenant` for whom; the upstream gets `X-User`.
pub(crate) struct Login;

impl Plugin for Login {
    const NAME: &'static str = "login";
    type Config = NoConfig;
    type Policy = NoConfig;
    type Handler = Login;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Login)
    }

    fn handler(&self, _: NoConfig, _: &Route) -> Result<Login, ConfigErrors> {
        Ok(Login)
    }
}

impl Handler for Login {
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        let head = cx.head();
        let roles = head.header(&ROLES).map(|roles| roles.split(' ').map(Into::into).collect());
        let tenant = head.header(&TENANT).map(|tenant| ("tenant".to_owned(), tenant.into()));
        if let Some(who) = head.header(&WHO) {
            let parts = IdentityParts {
                claims: tenant.into_iter().collect(),
                subject: who.into(),
                provider: "test".into(),
                roles: roles.unwrap_or_default(),
                ..IdentityParts::default()
            };
            cx.set_identity(parts.into());
        }
        Ok(Flow::Continue)
    }

    fn upstream_response(&self, _: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        match head.headers.contains_key("x-broken") {
            true => Err(Error::internal("an answer that the plugin can't read")),
            false => Ok(()),
        }
    }

    async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        if cx.head().headers.contains_key("x-unreadable") {
            return Err(Error::internal("an answer that the plugin can't read"));
        }
        if cx.head().headers.contains_key("x-unknown-length") {
            head.remove_header("content-length");
        }
        Ok(())
    }

    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        head.remove_header("x-user");
        if let Some(who) = cx.identity() {
            head.insert_header("x-user", HeaderValue::from_str(who.subject()).expect("a value"))?;
        }
        Ok(())
    }
}
