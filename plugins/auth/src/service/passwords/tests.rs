//! The rules, as a configuration states them.

use tidegate_core::{Body, Clock, Metrics, Retained, Stores};

use super::*;

fn build(yaml: &str, before: Option<&Retained>, kept: &Retained) -> Result<Arc<Policy>, String> {
    let config = serde_yaml::from_str(yaml).expect("rules");
    let (clock, metrics, stores, mut tasks) = (Clock::system(), Metrics::new(), Stores::default(), Vec::new());
    let mut cx = BuildCx::new("auth", &clock, &metrics, &stores, (kept, before), &mut tasks);
    Policy::build(&config, &mut cx).map_err(|errors| errors.to_string())
}

fn policy(yaml: &str) -> Arc<Policy> {
    build(yaml, None, &Retained::new()).expect("good rules")
}

async fn faults(policy: &Policy, password: &str) -> Vec<String> {
    let about = ["johnsmith", "john.smith@example.com"];
    let faults = policy.check("/password", password, &about).await.expect("checked");
    faults.into_iter().map(|fault| fault.detail).collect()
}

#[tokio::test]
async fn length_is_counted_in_characters_below_and_in_bytes_above() {
    let policy = policy("{}");
    assert!(faults(&policy, "äöüßäöüßäöüß").await.is_empty(), "12 characters");
    assert_eq!(faults(&policy, "äöüßäöüßäöü").await, ["must have at least 12 characters"]);
    assert!(faults(&policy, &"ä".repeat(36)).await.is_empty(), "72 bytes");
    assert_eq!(faults(&policy, &"ä".repeat(37)).await, ["must have at most 72 bytes"]);
    assert_eq!(
        faults(&policy, "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}").await.len(),
        1,
        "6 characters, however written"
    );
    assert_eq!(faults(&policy, "correct\0horse").await, ["must not contain a zero character"]);
}

#[tokio::test]
async fn kinds_of_characters_are_counted() {
    let policy = policy("classes: 3");
    for good in ["correctHorse1", "correct-horse-1", "CORRECT-horse"] {
        assert!(faults(&policy, good).await.is_empty(), "{good}");
    }
    for bad in ["correct-horse", "correct horse battery", "1234-5678-9012"] {
        let expected = "must have at least 3 kinds of characters of lower case, upper case, digits, others";
        assert_eq!(faults(&policy, bad).await, [expected], "{bad}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_said_and_pointed_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list");
    std::fs::write(&file, "johnsmith\n").expect("written");
    let policy = policy(&format!("{{ classes: 2, breached: {{ file: {} }} }}", file.display()));
    assert_eq!(faults(&policy, "JohnSmith").await.len(), 3, "too short, similar, known in lower case");
    let Err(Refused::Reply(reply)) = policy.demand("/password", "johnsmith", &["johnsmith"]).await else {
        panic!("it is taken")
    };
    let (status, _, Body::Problem { code, kind: Some(kind), .. }) = reply.into_parts() else { panic!("no problem") };
    assert_eq!((status.as_u16(), code), (400, "weak_password"));
    let errors = kind.members["errors"].as_array().expect("a list");
    assert_eq!(errors.len(), 4);
    assert!(errors.iter().all(|error| error["pointer"] == "/password"));
    assert!(!kind.members["errors"].to_string().contains("johnsmith"), "what was sent is not repeated");
}

#[tokio::test]
async fn a_list_is_read_again_when_it_was_changed_and_not_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list");
    std::fs::write(&file, "correct horse battery\n").expect("written");
    let yaml = format!("breached: {{ file: {} }}", file.display());
    let (first, second, third) = (Retained::new(), Retained::new(), Retained::new());
    let before = build(&yaml, None, &first).expect("good rules");
    let same = build(&yaml, Some(&first), &second).expect("good rules");
    let list = |policy: &Policy| policy.breached.clone().expect("a list");
    assert!(list(&before).is(&list(&same)));
    assert_eq!(faults(&same, "correct horse battery").await.len(), 1);
    std::fs::write(&file, "staple staple staple\n").expect("written");
    let changed = build(&yaml, Some(&second), &third).expect("good rules");
    assert!(!list(&before).is(&list(&changed)));
    assert!(faults(&changed, "correct horse battery").await.is_empty());
}

#[test]
fn what_can_not_work_is_refused() {
    for (yaml, path) in [
        ("max: 73", "max"),
        ("min: 7", "min"),
        ("{ min: 20, max: 16 }", "min"),
        ("classes: 0", "classes"),
        ("classes: 5", "classes"),
        ("breached: { file: /nowhere/at/all }", "breached.file"),
        ("breached: { file: / }", "breached.file"),
    ] {
        let error = build(yaml, None, &Retained::new()).err().unwrap_or_else(|| panic!("{yaml} is taken"));
        assert!(error.starts_with(&format!("{path}: ")), "{yaml}: {error}");
    }
}
