//! As much of a browser as a login needs: redirects, cookies, and forms with one button.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::Method;

use crate::{Answer, Call, Client, call};

/// Follows redirects and fills in forms, until the application is called back.
pub(super) struct Browser {
    addr: SocketAddr,
    cookies: BTreeMap<String, String>,
}

/// A login needs fewer: to the login, to consent, back to the application.
const MOST_STEPS: usize = 20;

impl Browser {
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self { addr, cookies: BTreeMap::new() }
    }

    /// Follows an application's question, logging in as `user` and consenting to everything on the way: where the
    /// provider sends the browser back to.
    pub(super) async fn follow(mut self, question: &str, user: &str) -> String {
        let own = format!("http://{}", self.addr);
        let mut path = question.strip_prefix(&own).unwrap_or(question).to_owned();
        for _ in 0..MOST_STEPS {
            let page = self.send(call(Method::GET, &path)).await;
            let answer = match page.status {
                200 => self.submit(&path, &page.text(), user).await,
                _ => page,
            };
            let location = answer.header("location").unwrap_or_else(|| panic!("no way on from {path}: {answer:#?}"));
            path = match location.strip_prefix(&own) {
                Some(path) => path.to_owned(),
                None if location.starts_with('/') => location.to_owned(),
                None => return location.to_owned(),
            };
        }
        panic!("the login leads nowhere: {path}");
    }

    async fn submit(&mut self, path: &str, page: &str, user: &str) -> Answer {
        let fields: &[(&str, &str)] = if page.contains("name=\"prompt\" value=\"login\"") {
            &[("prompt", "login"), ("login", user), ("password", "any")]
        } else if page.contains("name=\"prompt\" value=\"consent\"") {
            &[("prompt", "consent")]
        } else {
            panic!("what is this page? {page}")
        };
        let call = call(Method::POST, path).header("Content-Type", "application/x-www-form-urlencoded");
        self.send(call.body(form(fields))).await
    }

    async fn send(&mut self, call: Call) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = Client::connect(self.addr).await.send(call.header("Cookie", cookies.join("; "))).await;
        for cookie in answer.headers.all("set-cookie") {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.unwrap_or_else(|| panic!("not a cookie: {cookie}"));
            match value {
                "" => self.cookies.remove(name),
                _ => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }
}

/// The code of an answer.
pub(super) fn code(back: &str) -> String {
    let query = back.split_once('?').map_or("", |(_, query)| query);
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    code.unwrap_or_else(|| panic!("no code: {back}")).to_owned()
}

/// Fields as a form sends them.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.bytes().map(byte).collect::<String>()
    };
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}
