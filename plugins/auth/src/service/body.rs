//! What a request says, in JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use tidegate_core::{Bytes, Cx, Reply, StatusCode, header};

use super::answer::{Refused, bad_member};

/// The largest body: a solved challenge of a service takes some KiB.
const LARGEST: usize = 16 * 1024;

/// The members of a body. Passwords are among them: nothing of it is ever printed.
#[derive(Default)]
pub(crate) struct Members(Vec<(String, Value)>);

/// The body's members: a JSON object with some of `known`, each once.
pub(crate) async fn members(cx: &mut Cx<'_>, known: &[&str]) -> Result<Members, Refused> {
    let typed = is_json(cx);
    let body = take(cx).await?;
    if !typed {
        return Err(wrong_type().into());
    }
    Ok(Members::parse(&body, known)?)
}

/// The same where there need not be a body.
pub(crate) async fn optional_members(cx: &mut Cx<'_>, known: &[&str]) -> Result<Members, Refused> {
    let typed = is_json(cx);
    let body = take(cx).await?;
    match (body.is_empty(), typed) {
        (true, _) => Ok(Members::default()),
        (false, true) => Ok(Members::parse(&body, known)?),
        (false, false) => Err(wrong_type().into()),
    }
}

async fn take(cx: &mut Cx<'_>) -> Result<Bytes, Refused> {
    let too_large = || Reply::problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is larger than 16 KiB");
    Ok(cx.take_body(LARGEST).await?.ok_or_else(too_large)?)
}

/// Forms of other sites can't send this type without being asked about it first (Fetch section 4.8, CORS-preflight).
fn is_json(cx: &Cx<'_>) -> bool {
    let value = cx.head().header(&header::CONTENT_TYPE).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn wrong_type() -> Reply {
    Reply::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "the body must be application/json")
}

impl Members {
    fn parse(body: &[u8], known: &[&str]) -> Result<Self, Reply> {
        let Ok(Pairs(pairs)) = serde_json::from_slice(body) else {
            return Err(bad_member(String::new(), "the body is not a JSON object"));
        };
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(bad_member(pointer(name), "there is no such member"));
            }
            if pairs.iter().take(index).any(|(before, _)| before == name) {
                return Err(bad_member(pointer(name), "it is there twice"));
            }
        }
        Ok(Self(pairs))
    }

    /// A text, if the member is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Refused> {
        match self.0.iter().find(|(member, _)| member == name) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some(_) => Err(bad_member(pointer(name), "it must be a string").into()),
        }
    }

    /// A text that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, Refused> {
        self.text(name)?.ok_or_else(|| bad_member(pointer(name), "it is missing").into())
    }
}

/// A JSON Pointer to a member (RFC 6901 section 3), cut: the client chose the name.
fn pointer(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The members of an object in their order, doubles included.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::Body;

    use super::*;

    fn parse(body: &str) -> Result<Members, String> {
        Members::parse(body.as_bytes(), &["name", "password"]).map_err(|reply| {
            let (status, _, body) = reply.into_parts();
            let Body::Problem { detail, kind, .. } = body else { panic!("no problem") };
            let pointer = kind.expect("a kind").members["pointer"].as_str().expect("a text").to_owned();
            format!("{} {pointer} {detail}", status.as_u16())
        })
    }

    #[test]
    fn an_object_with_known_members_each_once_is_read() {
        let members = parse(r#"{"password": "p", "name": "n"}"#).expect("read");
        assert_eq!((members.text("name").ok(), members.needed("password").ok()), (Some(Some("n")), Some("p")));
        assert!(parse("{}").expect("read").needed("name").is_err());
        assert!(parse(r#"{"name": 1}"#).expect("read").text("name").is_err());
    }

    #[test]
    fn what_is_wrong_is_pointed_at_and_values_are_not_shown() {
        for (body, error) in [
            (r#"{"name": "secret", "extra": 1}"#, "400 /extra /extra: there is no such member"),
            (r#"{"a/b~": "secret"}"#, "400 /a~1b~0 /a~1b~0: there is no such member"),
            (r#"{"name": "secret", "name": "secret"}"#, "400 /name /name: it is there twice"),
            (r#"{"password": "secret", "p\u0061ssword": "x"}"#, "400 /password /password: it is there twice"),
            ("[]", "400  : the body is not a JSON object"),
            ("", "400  : the body is not a JSON object"),
            (r#"{"name": "secret"} x"#, "400  : the body is not a JSON object"),
        ] {
            assert_eq!(parse(body).err().as_deref(), Some(error), "{body}");
        }
        let long = format!("{{\"{}\": 1}}", "x".repeat(10_000));
        assert!(parse(&long).err().expect("unknown").len() < 200);
        assert!(parse(&"[".repeat(16_000)).is_err(), "deep");
    }
}
