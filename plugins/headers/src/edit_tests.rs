use proptest::prelude::*;
use tidegate_core::{RequestHeader, RouteId};

use super::*;
use crate::field::tests::{assert_fields, listed, request, response};

fn rules(remove: &[&str], rename: &[(&str, &str)], set: &[(&str, &str)], add: &[(&str, &str)]) -> config::Edits {
    let values = |rules: &[(&str, &str)]| {
        rules.iter().map(|(name, value)| (name.to_string(), value.parse().expect("valid"))).collect()
    };
    config::Edits {
        remove: remove.iter().map(ToString::to_string).collect(),
        rename: rename.iter().map(|(old, new)| (old.to_string(), new.to_string())).collect(),
        set: values(set),
        add: values(add),
    }
}

fn route() -> Route {
    Route::new(RouteId(0), "users", vec!["user".into()], ConfigPath::root(), "/users/{user}")
}

fn build(side: Side, rules: &config::Edits) -> Result<Edits, ConfigErrors> {
    Builder::new(side, &route()).build(rules)
}

fn on_request(rules: &config::Edits, head: &mut RequestHeader) {
    build(Side::Request, rules).expect("valid").apply(head, |_| None).expect("fits");
}

#[test]
fn rules_run_in_the_order_remove_rename_set_add() {
    let rules = rules(&["B"], &[("A", "B")], &[("C", "set")], &[("C", "added"), ("B", "added")]);
    let mut head = request(&[("a", "old a"), ("b", "old b"), ("c", "old c")]);
    on_request(&rules, &mut head);
    assert_fields(&head, &[("b", "old a"), ("b", "added"), ("c", "set"), ("c", "added")]);
}

#[test]
fn every_value_of_a_name_is_removed_renamed_and_replaced() {
    let twice = [("R", "1"), ("r", "2"), ("O", "3"), ("o", "4"), ("S", "5"), ("s", "6"), ("keep", "7")];
    let mut head = request(&twice);
    on_request(&rules(&["r"], &[("o", "n")], &[("s", "new")], &[]), &mut head);
    assert_fields(&head, &[("keep", "7"), ("n", "3"), ("n", "4"), ("s", "new")]);
}

#[test]
fn a_renamed_field_replaces_the_one_of_its_new_name_and_an_absent_one_does_nothing() {
    let mut head = request(&[("old", "1"), ("new", "2"), ("other", "3")]);
    on_request(&rules(&[], &[("Old", "New"), ("Absent", "Other")], &[], &[]), &mut head);
    assert_fields(&head, &[("new", "1"), ("other", "3")]);
}

#[test]
fn names_can_be_swapped_and_handed_on() {
    let mut head = request(&[("a", "1"), ("b", "2"), ("c", "3")]);
    on_request(&rules(&[], &[("a", "b"), ("b", "a"), ("c", "d")], &[], &[]), &mut head);
    assert_fields(&head, &[("a", "2"), ("b", "1"), ("d", "3")]);
}

#[test]
fn a_clients_own_copy_does_not_survive_a_set_whose_fact_is_missing() {
    let mut head = request(&[("X-User-ID", "admin"), ("x_user_id", "admin"), ("X-User_ID", "admin"), ("X-Other", "1")]);
    on_request(&rules(&[], &[], &[("X-User-ID", "{identity.subject}")], &[]), &mut head);
    assert_fields(&head, &[("x-other", "1")]);
}

#[test]
fn a_missing_fact_adds_nothing_and_leaves_what_is_there() {
    let mut head = request(&[("X-Seen-By", "client")]);
    on_request(&rules(&[], &[], &[], &[("X-Seen-By", "{identity.subject}")]), &mut head);
    assert_fields(&head, &[("x-seen-by", "client")]);
}

#[test]
fn a_known_fact_is_sent() {
    let rules = rules(&[], &[], &[("X-User-ID", "{identity.subject}")], &[("X-User-ID", "{client}")]);
    let edits = build(Side::Request, &rules).expect("valid");
    let mut head = request(&[("x-user-id", "admin")]);
    let facts = |template: &Template| HeaderValue::try_from(template.to_string()).ok();
    edits.apply(&mut head, facts).expect("fits");
    assert_fields(&head, &[("x-user-id", "{identity.subject}"), ("x-user-id", "{client}")]);
}

#[test]
fn an_upstreams_underscores_are_its_own() {
    let rules = rules(&["X-Debug"], &[], &[("X-Node", "n")], &[]);
    let mut head = response(&[("X_Debug", "kept"), ("X_Node", "kept"), ("X-Debug", "gone")]);
    build(Side::Response, &rules).expect("valid").apply(&mut head, |_| None).expect("fits");
    assert_fields(&head, &[("x-node", "n"), ("x_debug", "kept"), ("x_node", "kept")]);
}

#[test]
fn a_rename_can_change_the_case_on_the_wire() {
    let mut head = request(&[("x-user-id", "7")]);
    on_request(&rules(&[], &[("X-User-Id", "X-USER-ID")], &[], &[]), &mut head);
    let mut wire = Vec::new();
    head.header_to_h1_wire(&mut wire);
    assert_eq!(wire, b"X-USER-ID: 7\r\n");
}

#[test]
fn everything_wrong_is_found_at_once_each_at_its_place() {
    let rules = rules(
        &["X-Fine", "Content-*", "no spaces"],
        &[("A", "C"), ("B", "c"), ("Host", "X-Host")],
        &[("X-Id", "1"), ("x-id", "2"), ("X-P", "{param.usr}")],
        &[("Connection", "close")],
    );
    let errors = build(Side::Request, &rules).expect_err("wrong").to_string();
    let starts: Vec<_> = errors.lines().filter(|line| !line.starts_with("help: ")).collect();
    assert_eq!(
        starts,
        [
            "remove[1]: `Content-*` would also match `content-length`, which can't be edited",
            "remove[2]: \"no spaces\" is not a header name",
            "rename.B: there is another rule of this kind for `c`; header names ignore case",
            "rename.Host: `Host` is set for the upstream as a whole",
            "set.X-P: the route `users` has no path parameter `usr`",
            "set.x-id: there is another rule of this kind for `x-id`; header names ignore case",
            "add.Connection: `Connection` belongs to one connection and not to the message, so it can't be edited",
        ]
    );
    assert!(errors.contains("help: the path of this route has: user"), "{errors}");
}

fn name() -> impl Strategy<Value = String> {
    "[abcd]"
}

proptest! {
    /// The four rules by their definition, on a list of fields.
    #[test]
    fn rules_do_what_their_definition_says(
        fields in prop::collection::vec((name(), "[0-9]"), 0..8),
        remove in prop::collection::btree_set(name(), 0..2),
        rename in prop::collection::btree_map(name(), name(), 0..4),
        set in prop::collection::btree_map(name(), "[s]", 0..2),
        add in prop::collection::btree_map(name(), "[t]", 0..2),
    ) {
        let distinct: HashSet<_> = rename.values().collect();
        prop_assume!(distinct.len() == rename.len());

        let kept = fields.iter().filter(|(name, _)| !remove.contains(name));
        let (moved, stayed): (Vec<_>, Vec<_>) = kept.cloned().partition(|(name, _)| rename.contains_key(name));
        let moved: Vec<_> = moved.into_iter().map(|(name, value)| (rename[&name].clone(), value)).collect();
        let replaced = |name: &String| moved.iter().any(|(new, _)| new == name);
        let mut expected: Vec<_> = stayed.into_iter().filter(|(name, _)| !replaced(name)).collect();
        expected.extend(moved.clone());
        expected.retain(|(name, _)| !set.contains_key(name));
        expected.extend(set.clone());
        expected.extend(add.clone());
        expected.sort_by(|(a, _), (b, _)| a.cmp(b));

        let pairs = |map: &BTreeMap<String, String>| map.clone().into_iter().collect::<Vec<_>>();
        let (rename, set, add) = (pairs(&rename), pairs(&set), pairs(&add));
        fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
            pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
        }
        let remove: Vec<_> = remove.iter().map(String::as_str).collect();
        let mut head = request(&borrowed(&fields));
        on_request(&rules(&remove, &borrowed(&rename), &borrowed(&set), &borrowed(&add)), &mut head);
        prop_assert_eq!(listed(&head), expected);
    }
}
