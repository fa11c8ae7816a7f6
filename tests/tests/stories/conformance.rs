//! The public tests of HTTP caches (<https://cache-tests.fyi>, by the npm package `http-cache-tests`), all of them, against
//! the gateway as the binary has it. Here the clock is the system's, and the tests sleep.

use std::collections::BTreeMap;

use tempfile::TempDir;
use tidegate_testkit::{CacheSuite, Kind, Outcome, TestGateway, Tested, cache_suite};

use crate::tidegate;

/// What must not pass fewer: required, optimal, and what caches do differently.
const PASSED: [usize; 3] = [138, 69, 36];

const KINDS: [Kind; 3] = [Kind::Required, Kind::Optimal, Kind::Check];

/// Required by the tests, and not done here, with the reason.
const NOT_DONE: &[(&[&str], &str)] = &[
    (
        &[
            "age-parse-dup-0",
            "age-parse-dup-0-twoline",
            "age-parse-dup-old",
            "age-parse-float",
            "age-parse-negative",
            "age-parse-nonnumeric",
            "age-parse-numeric-parameter",
            "age-parse-parameter",
            "age-parse-prefix-twoline",
        ],
        "of several values of `Age` the first counts, and one that is no number is ignored (RFC 9111 section 5.1, which is \
         younger than the tests)",
    ),
    (
        &["304-etag-update-response-ETag"],
        "a 304 with another strong tag must not update what is stored (RFC 9111 section 4.3.4)",
    ),
    (
        &["304-etag-update-response-Content-MD5"],
        "of the fields of a 304 that must not be used (RFC 9111 section 3.2) it is none",
    ),
    (
        &[
            "stale-close-must-revalidate",
            "stale-close-no-cache",
            "stale-close-proxy-revalidate",
            "stale-close-s-maxage=2",
        ],
        "they need a cache that sends stale answers without being told to; and an error of the gateway's own is for them an \
         answer from the cache",
    ),
    (
        &[
            "304-etag-update-response-Set-Cookie",
            "304-etag-update-response-Set-Cookie2",
            "headers-store-Set-Cookie",
            "headers-store-Set-Cookie2",
        ],
        "what sets cookies is not stored: nobody gets another one's",
    ),
    (&["other-date-update"], "Pingora writes `Date` anew on every answer"),
    (
        &[
            "surrogate-fresh-cc-nostore",
            "surrogate-max-age-0",
            "surrogate-max-age-0-expires",
            "surrogate-max-age-age",
            "surrogate-max-age-long-cc-max-age",
            "surrogate-max-age-other-target",
            "surrogate-no-store-cc-fresh",
        ],
        "`CDN-Cache-Control` (RFC 9213) is understood, and not its predecessor `Surrogate-Control`",
    ),
];

/// The same of what would make a cache a better one.
const NOT_OPTIMAL: &[(&[&str], &str)] = &[
    (
        &["heuristic-405-cached", "heuristic-414-cached", "heuristic-501-cached"],
        "errors are stored where `negative` or the upstream says so",
    ),
    (&["method-POST"], "answers to POST are not stored"),
    (
        &["vary-normalise-lang-order", "vary-normalise-lang-select", "vary-normalise-space"],
        "values are the same where RFC 9110 says that they mean the same: the order of languages may mean something, and so \
         may the blanks of a field that nobody here knows",
    ),
    (
        &["conditional-lm-fresh-no-lm"],
        "an answer that is newer than the date the client asks about is sent (RFC 9111 section 4.3.2)",
    ),
    (
        &[
            "partial-store-partial-complete",
            "partial-store-partial-reuse-partial",
            "partial-store-partial-reuse-partial-absent",
            "partial-store-partial-reuse-partial-byterange",
            "partial-store-partial-reuse-partial-suffix",
        ],
        "parts that the upstream sends are not stored",
    ),
    (
        &["other-authorization-must-revalidate", "other-authorization-public", "other-authorization-smaxage"],
        "what was asked for with `Authorization` is kept for those who have some, apart from what anybody gets",
    ),
    (&["other-set-cookie"], "what sets cookies is not stored"),
    (
        &[
            "surrogate-max-age",
            "surrogate-max-age-case-insensitive",
            "surrogate-max-age-cc-max-age-invalid-expires",
            "surrogate-max-age-expires",
            "surrogate-max-age-extension",
            "surrogate-max-age-max",
            "surrogate-max-age-max-plus",
            "surrogate-max-age-me-target",
            "surrogate-max-age-short-cc-max-age",
        ],
        "`CDN-Cache-Control` is understood, and not `Surrogate-Control`",
    ),
];

fn is_listed(list: &[(&[&str], &str)], id: &str) -> bool {
    list.iter().any(|(ids, _)| ids.contains(&id))
}

/// How many of each kind pass.
fn score(all: &BTreeMap<String, Tested>) -> [usize; 3] {
    KINDS.map(|kind| passed(all, kind).count())
}

fn passed(all: &BTreeMap<String, Tested>, kind: Kind) -> impl Iterator<Item = &str> {
    let of_kind = all.values().filter(move |tested| tested.kind == kind);
    of_kind.map(|tested| tested.id.as_str()).filter(|id| Outcome::of(id, all) == Outcome::Passed)
}

/// One route with a cache that assumes what RFC 9111 section 4.2.2 suggests: the tests are about answers that say nothing.
async fn gateway(suite: &CacheSuite, zone: &str) -> TestGateway {
    let config = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n{zone}\
         routing:\n  routes:\n    - name: all\n      upstream: app\n      plugins:\n        cache: {{ default_ttl: 0s, \
         heuristic: 10% }}\n",
        suite.target()
    );
    tidegate().start(&config).await
}

/// How often those tests are run once more that should have passed: they sleep for some seconds, and the machine may be
/// busy in any of them.
const AGAIN: usize = 4;

/// What came of all tests, and of each that should have passed, of all its runs.
async fn all(suite: &CacheSuite, gateway: &TestGateway) -> BTreeMap<String, Tested> {
    let mut all = suite.run(gateway.addr(), &[]).await;
    for _ in 0..AGAIN {
        let fewer = score(&all)[2] < PASSED[2];
        let again: Vec<&str> = all
            .values()
            .filter(|tested| !tested.passed() && is_unexpected(tested, fewer))
            .map(|tested| tested.id.as_str())
            .collect();
        if again.is_empty() {
            break;
        }
        let again = suite.run(gateway.addr(), &again).await;
        all.extend(again.into_iter().filter(|(_, tested)| tested.passed()));
    }
    all
}

fn is_unexpected(tested: &Tested, fewer: bool) -> bool {
    match tested.kind {
        Kind::Required => !is_listed(NOT_DONE, &tested.id),
        Kind::Optimal => !is_listed(NOT_OPTIMAL, &tested.id),
        Kind::Check => fewer,
    }
}

/// Everything passes but what is written down, and nothing that is written down does.
#[track_caller]
fn assert_conforms(all: &BTreeMap<String, Tested>) {
    let wrong: Vec<_> = all
        .values()
        .filter(|tested| tested.kind != Kind::Check)
        .map(|tested| (tested, Outcome::of(&tested.id, all)))
        .filter(|(tested, outcome)| (*outcome == Outcome::Passed) != is_unexpected(tested, false))
        .map(|(tested, outcome)| (tested.kind, &*tested.id, outcome))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let score = score(all);
    assert!(score.iter().zip(PASSED).all(|(now, before)| *now >= before), "{score:?}, and it was {PASSED:?}");
}

#[tokio::test]
async fn the_public_tests_of_caches_pass_but_those_that_are_named() {
    let suite = cache_suite().await;
    let gateway = gateway(&suite, "").await;
    assert_conforms(&all(&suite, &gateway).await);
}

/// With as little memory as a zone may have: stored answers come from either.
#[tokio::test]
async fn from_a_disk_they_pass_as_well() {
    let (suite, home) = (cache_suite().await, TempDir::new().expect("a directory"));
    let zone = format!(
        "cache: {{ zones: {{ main: {{ memory: 1MiB, disk: {{ path: \"{}\", size: 64MiB }} }} }} }}\n",
        home.path().display()
    );
    let gateway = gateway(&suite, &zone).await;
    assert_conforms(&all(&suite, &gateway).await);
}

/// The manual says how many pass here and elsewhere.
#[tokio::test]
async fn the_manual_tells_the_scores_of_others_as_the_tests_count_them() {
    let manual = include_str!("../../../docs/rfc9111.md");
    let suite = cache_suite().await;
    let row =
        |name: &str, [required, optimal, check]: [usize; 3]| format!("| {name} | {required} | {optimal} | {check} |");
    let mut missing = Vec::new();
    missing.extend(Some(row("Tidegate", PASSED)).filter(|row| !manual.contains(row)));
    for (file, name) in [
        ("nginx", "nginx 1.18.0"),
        ("varnish", "Varnish 6.4.0"),
        ("trafficserver", "Traffic Server 8.0.8"),
        ("squid", "Squid 4.13"),
        ("apache", "httpd 2.4.46"),
    ] {
        let row = row(name, score(&suite.of_peer(file).await));
        missing.extend(Some(row).filter(|row| !manual.contains(row)));
    }
    assert!(missing.is_empty(), "docs/rfc9111.md lacks\n{}", missing.join("\n"));
    let unnamed =
        NOT_DONE.iter().chain(NOT_OPTIMAL).flat_map(|(ids, _)| *ids).filter(|id| !manual.contains(&format!("`{id}`")));
    assert_eq!(unnamed.collect::<Vec<_>>(), [] as [&&str; 0]);
}
