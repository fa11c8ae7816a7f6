//! A request without a gateway.

use std::net::IpAddr;

use serde_json::Value;
use tidegate_core::facts::{Country, Identity};
use tidegate_core::{HeaderMap, HeaderName, HeaderValue, Method, RequestHead, Scheme};

use crate::key::Asker;

/// A request, told field by field.
#[derive(Debug, Clone)]
pub(crate) struct Someone {
    method: Method,
    authority: String,
    query: Option<String>,
    headers: HeaderMap,
    client: IpAddr,
    identity: Option<Identity>,
    country: Option<Country>,
    params: Vec<(String, String)>,
}

impl Default for Someone {
    fn default() -> Self {
        Self {
            method: Method::GET,
            authority: "api.example.com:8443".into(),
            query: None,
            headers: HeaderMap::new(),
            client: IpAddr::from([192, 0, 2, 7]),
            identity: None,
            country: None,
            params: Vec::new(),
        }
    }
}

impl Someone {
    pub(crate) fn method(self, method: &str) -> Self {
        Self { method: method.parse().expect(method), ..self }
    }

    pub(crate) fn field(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut headers = self.headers.clone();
        let name: HeaderName = name.parse().expect(name);
        headers.append(name, HeaderValue::from_bytes(value.as_ref()).expect("a value"));
        Self { headers, ..self }
    }

    pub(crate) fn from(self, client: &str) -> Self {
        Self { client: client.parse().expect(client), ..self }
    }

    pub(crate) fn query(self, query: &str) -> Self {
        Self { query: Some(query.into()), ..self }
    }

    pub(crate) fn host(self, authority: &str) -> Self {
        Self { authority: authority.into(), ..self }
    }

    pub(crate) fn param(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    pub(crate) fn identity(self, subject: &str, claims: Value) -> Self {
        self.known_to("jwt", subject, claims)
    }

    pub(crate) fn known_to(self, provider: &str, subject: &str, claims: Value) -> Self {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Self { identity: Some(Identity::new(subject, provider, claims)), ..self }
    }

    pub(crate) fn country(self, country: &str) -> Self {
        Self { country: Country::parse(country.as_bytes()), ..self }
    }
}

impl Asker for Someone {
    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            authority: &self.authority,
            path: "/",
            query: self.query.as_deref(),
            headers: &self.headers,
            client: self.client,
            scheme: Scheme::Https,
            listener: "main",
        }
    }

    fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    fn country(&self) -> Option<&Country> {
        self.country.as_ref()
    }

    fn route(&self) -> &str {
        "users"
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}
