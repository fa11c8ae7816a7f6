//! The policies of all files, each under a name of its own.

use std::collections::HashMap;
use std::path::Path;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Policy, PolicyId, PolicySet};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::files::{faults, read};
use crate::config;

/// All policies, and where they are from.
#[derive(Debug, Default)]
pub(super) struct Policies {
    pub(super) set: PolicySet,
    texts: Vec<Text>,
    /// Which of the texts each policy is in.
    homes: HashMap<PolicyId, usize>,
}

/// A file, or what is written in the configuration.
#[derive(Debug)]
struct Text {
    at: ConfigPath,
    /// As errors call it.
    source: String,
    text: String,
}

impl Policies {
    /// Errors are relative to `cedar`.
    pub(super) fn load(config: &config::Cedar) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut all = Self::default();
        for (index, path) in config.policies.iter().enumerate() {
            let at = ConfigPath::from("policies").index(index);
            let text = errors.collect(read(path).map_err(|error| error.under(&at)));
            let Some(text) = text else { continue };
            errors.extend(all.add(Text { at, source: path.display().to_string(), text }, &stem(path)));
        }
        if let Some(text) = &config.inline {
            let text = Text { at: "inline".into(), source: "inline".to_owned(), text: text.clone() };
            errors.extend(all.add(text, "inline"));
        }
        if errors.is_empty() && all.set.is_empty() {
            let error = ConfigError::at("", "no policy, so nobody could get through");
            errors.push(error.help("name files: cedar: { policies: [policies.cedar] }"));
        }
        errors.into_result(all)
    }

    /// Errors are relative to `cedar`. Policies without `@id` are called by their text and their number in it.
    fn add(&mut self, text: Text, name: &str) -> Vec<ConfigError> {
        let set: PolicySet = match text.text.parse() {
            Ok(set) => set,
            Err(error) => return self.faults_in(&text, &DetailedError::from(&error)),
        };
        let mut errors = Vec::new();
        if set.templates().next().is_some() {
            let error =
                format!("{}: a policy is a template (`?principal`, `?resource`), and nothing links it", text.source);
            errors.push(ConfigError::at(&text.at, error).help("write the principal or resource out"));
        }
        for (number, policy) in in_order(&set) {
            let id = policy.annotation("id").filter(|id| !id.is_empty());
            let id = PolicyId::new(id.map_or_else(|| format!("{name}#{number}"), str::to_owned));
            if self.homes.insert(id.clone(), self.texts.len()).is_some() {
                let error = format!("{}: two policies are called `{}`", text.source, shown(&id));
                errors.push(ConfigError::at(&text.at, error).help("give each an @id of its own"));
                continue;
            }
            if let Err(error) = self.set.add(policy.new_id(id)) {
                errors.push(ConfigError::at(&text.at, format!("{}: {error}", text.source)));
            }
        }
        self.texts.push(text);
        errors
    }

    fn faults_in(&self, text: &Text, error: &DetailedError) -> Vec<ConfigError> {
        faults(&text.source, &text.text, error).into_iter().map(|error| error.under(&text.at)).collect()
    }

    /// What was found in one policy, with the place in its text.
    pub(super) fn fault(&self, policy: &PolicyId, error: &DetailedError) -> Vec<ConfigError> {
        match self.homes.get(policy).and_then(|home| self.texts.get(*home)) {
            Some(text) => self.faults_in(text, error),
            None => vec![ConfigError::at("", error.message.clone())],
        }
    }

    /// Where a policy is in the configuration, and what its text is called.
    pub(super) fn home(&self, policy: &PolicyId) -> (ConfigPath, &str) {
        let text = self.homes.get(policy).and_then(|home| self.texts.get(*home));
        text.map_or((ConfigPath::root(), ""), |text| (text.at.clone(), &text.source))
    }
}

/// Policies with their numbers, counted from 1: Cedar calls them `policy0`, `policy1` and so on.
fn in_order(set: &PolicySet) -> Vec<(usize, &Policy)> {
    let number = |policy: &Policy| AsRef::<str>::as_ref(policy.id()).strip_prefix("policy")?.parse().ok();
    let mut all: Vec<_> = set.policies().map(|policy| (number(policy).unwrap_or(0_usize) + 1, policy)).collect();
    all.sort_by_key(|(number, _)| *number);
    all
}

fn stem(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A name that moves no cursor.
pub(super) fn shown(id: &PolicyId) -> String {
    AsRef::<str>::as_ref(id).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)], inline: Option<&str>) -> Result<Policies, ConfigErrors> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |(name, text): &(&str, &str)| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let policies = files.iter().map(path).collect();
        Policies::load(&config::Cedar { policies, inline: inline.map(str::to_owned), ..Default::default() })
    }

    #[test]
    fn policies_are_called_by_their_id_or_their_number() {
        let text = "@id(\"staff\")\npermit(principal, action, resource);\nforbid(principal, action, resource);";
        let policies = load(&[("a.cedar", text)], Some("permit(principal, action, resource);")).expect("good");
        let mut ids: Vec<_> = policies.set.policies().map(|policy| policy.id().to_string()).collect();
        ids.sort();
        assert_eq!(ids, ["a.cedar#2", "inline#1", "staff"]);
    }

    #[test]
    fn every_fault_is_told_with_file_line_and_column() {
        let bad = "permit(principal, action, resource);\npermit(principal, action)\n";
        let twice = "@id(\"x\") permit(principal, action, resource); @id(\"x\") forbid(principal, action, resource);";
        let template = "permit(principal == ?principal, action, resource);";
        let files = [("bad.cedar", bad), ("twice.cedar", twice), ("template.cedar", template)];
        let errors = load(&files, Some("allow everything;")).expect_err("bad").to_string();
        for text in
            ["policies[0]: ", "bad.cedar:2:", "policies[1]: ", "called `x`", "is a template", "inline: inline:1:7"]
        {
            assert!(errors.contains(text), "{text} is missing:\n{errors}");
        }
    }

    #[test]
    fn a_section_without_policies_is_refused() {
        let errors = load(&[("empty.cedar", "// nothing yet\n")], None).expect_err("empty").to_string();
        assert!(errors.contains("no policy"), "{errors}");
        let missing = config::Cedar { policies: vec!["/nowhere/x.cedar".into()], ..Default::default() };
        let errors = Policies::load(&missing).expect_err("missing").to_string();
        assert!(errors.contains("policies[0]: can't read /nowhere/x.cedar"), "{errors}");
    }
}
