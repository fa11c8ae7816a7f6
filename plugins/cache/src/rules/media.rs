//! Which types of content are stored.

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

/// Media types, or all of a kind.
#[derive(Debug, Clone)]
pub(crate) struct Types(Box<[Type]>);

#[derive(Debug, Clone)]
enum Type {
    All,
    /// `image/`
    Kind(Box<str>),
    One(Box<str>),
}

impl Types {
    /// Errors have paths from the policy.
    pub(super) fn build(list: &[String]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if list.is_empty() {
            let error = ConfigError::at("content_types", "without any type nothing is ever stored");
            errors.push(error.help("leave it out for all"));
        }
        let mut types = Vec::with_capacity(list.len());
        for (index, text) in list.iter().enumerate() {
            match parse(text) {
                Some(kind) => types.push(kind),
                None => {
                    let at = ConfigPath::from("content_types").index(index);
                    let error = ConfigError::at(at, format!("`{text}` is not a media type"));
                    errors.push(error.help("such as `text/html`, `image/*` or `*/*`"));
                }
            }
        }
        errors.into_result(Self(types.into()))
    }

    pub(super) fn has(&self, content_type: Option<&[u8]>) -> bool {
        let essence = content_type.map(essence);
        self.0.iter().any(|known| match (known, essence) {
            (Type::All, _) => true,
            (Type::Kind(kind), Some(essence)) => begins(essence, kind),
            (Type::One(one), Some(essence)) => essence.eq_ignore_ascii_case(one.as_bytes()),
            (_, None) => false,
        })
    }
}

fn parse(text: &str) -> Option<Type> {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match text.split_once('/')? {
        ("*", "*") => Some(Type::All),
        (kind, "*") if token(kind) => Some(Type::Kind(format!("{}/", kind.to_ascii_lowercase()).into())),
        (kind, sub) if token(kind) && token(sub) => Some(Type::One(text.to_ascii_lowercase().into())),
        _ => None,
    }
}

fn essence(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or(content_type).trim_ascii()
}

fn begins(essence: &[u8], kind: &str) -> bool {
    essence.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
}

/// Whether such an answer has no end that anybody waits for, or is a part of something.
pub(crate) fn is_stream(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    is("text/event-stream")
        || is("multipart/x-mixed-replace")
        || is("multipart/byteranges")
        || begins(essence, "application/grpc")
}
