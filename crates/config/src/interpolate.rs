//! `${VAR}`, `${VAR:-default}` and `${file:/path}` in values, and `$${` for a literal `${`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_core::config::{ConfigError, ConfigPath, Map, Segment, Value};

use crate::env::Env;
use crate::limits;

/// Puts values in for the variables of a tree.
pub(crate) struct Interpolator<'e> {
    env: &'e dyn Env,
    /// What a relative `${file:…}` is relative to.
    folder: PathBuf,
    /// The files that were named, whether they could be read or not.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) errors: Vec<ConfigError>,
    path: Vec<Segment>,
    /// Bytes that may still be put in.
    left: usize,
}

impl<'e> Interpolator<'e> {
    pub(crate) fn new(env: &'e dyn Env, folder: &Path) -> Self {
        Self {
            env,
            folder: folder.to_owned(),
            files: Vec::new(),
            errors: Vec::new(),
            path: Vec::new(),
            left: limits::INTERPOLATED_BYTES,
        }
    }

    /// The same tree with everything put in; what fails is noted and stays as it is.
    pub(crate) fn tree(&mut self, value: &Value) -> Value {
        self.changed(value).unwrap_or_else(|| value.clone())
    }

    /// `None` if there is nothing to put in: most of a tree stays as it is, and is not copied.
    fn changed(&mut self, value: &Value) -> Option<Value> {
        match value {
            Value::Str(text) if text.contains("${") => Some(self.scalar(text)),
            Value::Seq(elements) => self.seq(elements),
            Value::Map(map) => self.map(map),
            _ => None,
        }
    }

    fn seq(&mut self, elements: &[Value]) -> Option<Value> {
        let mut copy: Option<Vec<Value>> = None;
        for (index, element) in elements.iter().enumerate() {
            if let Some(new) = self.inside(Segment::Index(index), element) {
                copy.get_or_insert_with(|| elements.to_vec())[index] = new;
            }
        }
        copy.map(Value::from)
    }

    fn map(&mut self, map: &Map) -> Option<Value> {
        let mut changes = Vec::new();
        for (at, (key, value)) in map.iter().enumerate() {
            if key.contains("${") {
                let path = self.here().key(key);
                self.errors.push(ConfigError::at(path, "a key cannot hold `${…}`").about_key().help("only values can"));
            }
            changes.extend(self.inside(Segment::Key(key.clone()), value).map(|new| (at, new)));
        }
        if changes.is_empty() {
            return None;
        }
        let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (at, new) in changes {
            entries[at].1 = new;
        }
        Some(Value::map(entries))
    }

    fn inside(&mut self, segment: Segment, value: &Value) -> Option<Value> {
        self.path.push(segment);
        let new = self.changed(value);
        self.path.pop();
        new
    }

    fn here(&self) -> ConfigPath {
        self.path.iter().cloned().collect()
    }

    fn scalar(&mut self, source: &Arc<str>) -> Value {
        let mut text = String::with_capacity(source.len());
        let mut substituted = false;
        let mut rest: &str = source;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                text.push_str(before);
                text.push_str("${");
                rest = &from[2..];
                continue;
            }
            text.push_str(before);
            let Some(end) = from.find('}') else {
                self.refuse("`${` has no closing `}`", "close it, or write `$${` to mean just that");
                return Value::Str(source.clone());
            };
            text.push_str(&self.expression(&from[2..end]));
            substituted = true;
            rest = &from[end + 1..];
        }
        text.push_str(rest);
        if substituted { Value::interpolated(text, &**source) } else { Value::from(text) }
    }

    fn refuse(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(ConfigError::at(self.here(), message).help(help));
    }

    /// What `${inside}` stands for; nothing, and an error, if that cannot be said.
    fn expression(&mut self, inside: &str) -> String {
        let result = match inside.split_once(':') {
            Some(("file", path)) if !path.starts_with('-') => self.file(path),
            Some((name, default)) if is_name(name) && default.starts_with('-') => self.defaulted(name, &default[1..]),
            None if is_name(inside) => self.variable(inside),
            _ => Err(not_an_expression(inside)),
        };
        match result {
            Ok(text) if text.len() <= self.left => {
                self.left -= text.len();
                text
            }
            Ok(_) => {
                self.refuse("the values put in for `${…}` are too long", "put in less than 64MiB");
                String::new()
            }
            Err((message, help)) => {
                self.refuse(message, help);
                String::new()
            }
        }
    }

    fn variable(&self, name: &str) -> Result<String, (String, String)> {
        self.env.var(name).ok_or_else(|| {
            let help = format!("set it, or give a default: ${{{name}:-…}}");
            (format!("the environment variable `{name}` is not set"), help)
        })
    }

    /// As in a shell, an empty variable counts as not set.
    fn defaulted(&self, name: &str, default: &str) -> Result<String, (String, String)> {
        if default.contains("${") {
            return Err(("a default cannot hold another `${…}`".into(), "give a plain text as the default".into()));
        }
        Ok(self.env.var(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned()))
    }

    fn file(&mut self, path: &str) -> Result<String, (String, String)> {
        if path.is_empty() {
            return Err(("`${file:…}` names no file".into(), "write ${file:/run/secrets/name}".into()));
        }
        let full = self.folder.join(path);
        if !self.files.contains(&full) {
            self.files.push(full.clone());
        }
        let help = "the file must exist, be readable, hold UTF-8 text and at most 1MiB".to_owned();
        let shown = path.escape_debug();
        let text = read_limited(&full).map_err(|why| (format!("cannot read the file `{shown}`: {why}"), help))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn not_an_expression(inside: &str) -> (String, String) {
    let shown = inside.escape_debug();
    let help = match inside.split_once(':') {
        Some(("env", name)) if is_name(name) => format!("write ${{{name}}}"),
        Some((name, default)) if is_name(name) => {
            format!("for a default, write ${{{name}:-{}}}", default.escape_debug())
        }
        _ => "write ${VAR}, ${VAR:-default} or ${file:/path}; to mean just `${`, write `$${`".to_owned(),
    };
    (format!("`${{{shown}}}` is neither a variable nor a file"), help)
}

fn read_limited(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| why(&error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err("it is a folder".into());
    }
    let mut bytes = Vec::new();
    file.take(limits::SECRET_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| why(&error))?;
    if bytes.len() as u64 > limits::SECRET_FILE_BYTES {
        return Err("it is larger than 1MiB".into());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}

/// An input error in words that are the same on every system.
pub(crate) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_in(text: &str) -> Result<String, String> {
        let env = [("HOST", "db"), ("EMPTY", ""), ("_a1", "x")];
        let mut interpolator = Interpolator::new(&env, Path::new("/nowhere"));
        let value = interpolator.tree(&Value::from(text));
        match interpolator.errors.pop() {
            Some(error) => Err(error.message),
            None => Ok(value.as_str().unwrap_or_default().to_owned()),
        }
    }

    #[test]
    fn variables_are_put_in() {
        assert_eq!(put_in("${HOST}"), Ok("db".into()));
        assert_eq!(put_in("a-${HOST}:${_a1}-b"), Ok("a-db:x-b".into()));
        assert_eq!(put_in("[${EMPTY}]"), Ok("[]".into()));
        assert_eq!(put_in("$HOST $ {HOST}"), Ok("$HOST $ {HOST}".into()));
    }

    #[test]
    fn a_default_is_for_what_is_unset_or_empty() {
        assert_eq!(put_in("${HOST:-x}"), Ok("db".into()));
        assert_eq!(put_in("${PORT:-80}"), Ok("80".into()));
        assert_eq!(put_in("${EMPTY:-80}"), Ok("80".into()));
        assert_eq!(put_in("${PORT:-}"), Ok(String::new()));
        assert_eq!(put_in("${PORT:-http://a:80/}"), Ok("http://a:80/".into()));
    }

    #[test]
    fn an_escaped_one_is_literal() {
        assert_eq!(put_in("$${HOST}"), Ok("${HOST}".into()));
        assert_eq!(put_in("$$${HOST}"), Ok("$${HOST}".into()));
        assert_eq!(put_in("$${${HOST}}"), Ok("${db}".into()));
        assert_eq!(put_in("$${1}/${HOST}"), Ok("${1}/db".into()));
    }

    #[test]
    fn what_is_put_in_is_marked_with_its_source() {
        let env = [("PW", "hunter2")];
        let mut interpolator = Interpolator::new(&env, Path::new("."));
        assert_eq!(interpolator.tree(&Value::from("a${PW}")).to_string(), "***");
        assert!(matches!(interpolator.tree(&Value::from("$${PW}")), Value::Str(_)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["${", "${}", "${a b}", "${1}", "${HOST:x}", "${HOST:-${X}}", "${file:}", "${env:HOST}", "${UNSET}"]
        {
            assert!(put_in(text).is_err(), "{text}");
        }
        assert_eq!(put_in("${file:x}"), Err("cannot read the file `x`: no such file".into()));
    }

    #[test]
    fn a_file_is_put_in_without_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pw"), "hunter2\n\n").unwrap();
        std::fs::write(folder.path().join("big"), vec![b'x'; (1 << 20) + 1]).unwrap();
        std::fs::write(folder.path().join("binary"), [0xff]).unwrap();
        let mut interpolator = Interpolator::new(&[] as &[(&str, &str); 0], folder.path());
        let value = interpolator.tree(&Value::from("${file:pw}"));
        assert_eq!(value.as_str(), Some("hunter2\n"));
        assert_eq!(interpolator.files, [folder.path().join("pw")]);
        for (name, why) in [("big", "larger than 1MiB"), ("binary", "not UTF-8"), (".", "a folder")] {
            interpolator.tree(&Value::from(format!("${{file:{name}}}")));
            let error = interpolator.errors.pop().unwrap();
            assert!(error.message.contains(why), "{error}");
        }
    }
}
