//! What came of one test, by the rules by which the suite's own pages show it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One test, and what came of it by itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Tested {
    /// Its name.
    pub id: String,
    /// What it asks for.
    pub kind: Kind,
    /// The tests without which this one says nothing.
    needs: Vec<String>,
    /// `true`, or a list: the kind of failure, and what was seen.
    result: Value,
}

/// What a test asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a cache must do.
    Required,
    /// What makes a cache a good one.
    Optimal,
    /// What caches do differently; neither is wrong.
    Check,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The cache did so.
    Passed,
    /// It didn't; what was seen.
    Failed(String),
    /// Another test has failed without which this one says nothing.
    Needs(String),
}

impl Tested {
    /// Whether it passed, whatever came of those that it needs.
    pub fn passed(&self) -> bool {
        self.result == Value::Bool(true)
    }
}

impl Outcome {
    /// Of one test among all.
    pub fn of(id: &str, all: &BTreeMap<String, Tested>) -> Outcome {
        let Some(tested) = all.get(id) else { return Outcome::Failed("it was not run".to_owned()) };
        let missing = tested.needs.iter().find(|needed| Outcome::of(needed, all) != Outcome::Passed);
        match (missing, tested.passed()) {
            (Some(needed), _) => Outcome::Needs(needed.clone()),
            (None, true) => Outcome::Passed,
            (None, false) => Outcome::Failed(tested.result.to_string()),
        }
    }
}
