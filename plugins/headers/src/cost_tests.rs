//! What a request pays that has nothing to be done to it.

use tidegate_core::{ConfigPath, HeaderMap, Method, ResponseHeader, Route, RouteId, Scheme};
use tidegate_testkit::allocations;

use crate::config::Policy;
use crate::cookie::Cookies;
use crate::cors::{Cors, Preflight};
use crate::edit::{Builder, Edits};
use crate::editable::Side;
use crate::field::tests::{listed, request, response};
use crate::hosts::Hosts;
use crate::location::{Locations, Place};
use crate::privacy::Privacy;
use crate::security::Security;

tidegate_testkit::count_allocations!();

const PLAIN: [(&str, &str); 6] = [
    ("Content-Type", "application/json"),
    ("Content-Length", "2"),
    ("Date", "Sat, 21 Nov 2026 00:00:00 GMT"),
    ("Cache-Control", "no-store"),
    ("Location", "https://example.org/x"),
    ("Set-Cookie", "a=b; Path=/; Secure"),
];

#[track_caller]
fn costs_nothing(mut head: ResponseHeader, work: impl FnOnce(&mut ResponseHeader)) {
    let before = listed(&head);
    assert_eq!(allocations(|| work(&mut head)), 0);
    assert_eq!(listed(&head), before);
}

#[test]
fn a_response_with_nothing_to_change_costs_no_allocation() {
    let policy = Policy::default();
    let privacy = Privacy::build(&policy.privacy).expect("valid");
    // The table of hidden names is made by whoever is first.
    privacy.apply(&mut response(&[])).expect("fits");
    let hosts = Hosts::build(&[]).expect("valid");
    let cookies = Cookies::build(&policy.cookies).expect("valid");
    let locations = Locations::new();
    let security = Security::build(&policy.security).expect("valid");
    let place = Place { scheme: Scheme::Https, authority: "api.example.com" };
    costs_nothing(response(&PLAIN), |head| {
        privacy.apply(head).expect("fits");
        locations.rewrite(head, place, &hosts, None).expect("fits");
        cookies.apply(&hosts, head).expect("fits");
        security.apply(Scheme::Https, head).expect("fits");
        Edits::default().apply(head, |_| None).expect("fits");
    });
}

#[test]
fn rules_that_find_nothing_cost_no_allocation() {
    let rules = crate::config::Edits {
        remove: vec!["X-Internal-*".into(), "X-Debug".into()],
        rename: [("X-Old".to_owned(), "X-New".to_owned())].into(),
        ..crate::config::Edits::default()
    };
    let route = Route::new(RouteId(0), "r", Vec::new(), ConfigPath::root(), "/");
    let edits = Builder::new(Side::Request, &route).build(&rules).expect("valid");
    let mut head = request(&PLAIN);
    assert_eq!(allocations(|| edits.apply(&mut head, |_| None).expect("fits")), 0);
}

#[test]
fn a_request_that_is_no_preflight_costs_no_allocation() {
    let config: crate::config::Cors = serde_json::from_str(r#"{ "origins": ["https://a.b"] }"#).expect("valid");
    let (cors, headers) = (Cors::build(&config).expect("valid"), HeaderMap::new());
    let cost = allocations(|| assert_eq!(cors.preflight(&Method::GET, &headers), Preflight::No));
    assert_eq!(cost, 0);
}
