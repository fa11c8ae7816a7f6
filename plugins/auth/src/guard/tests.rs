//! The guard, on a clock turned by hand and a store in memory.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tidegate_core::{Fetch, FetchError, FetchLimits, Http, MakeHttp, Metrics, Retained, Stores};
use tidegate_testkit::{ManualClock, manual_clock};

use super::*;
use crate::store::fake::FakeStore;

const MINUTE: Duration = Duration::from_secs(60);
const ATTACKER: &str = "203.0.113.9";
const VICTIM: &str = "198.51.100.1";

/// A service that verifies solutions: what it answers, and what it was asked.
#[derive(Clone, Default)]
struct Siteverify {
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[tidegate_core::async_trait]
impl Fetch for Siteverify {
    async fn fetch(
        &self,
        request: http::Request<tidegate_core::Bytes>,
        _: FetchLimits,
    ) -> Result<http::Response<tidegate_core::Bytes>, FetchError> {
        self.asked.lock().push(String::from_utf8_lossy(request.body()).into_owned());
        let (status, body) = self.answer.lock().clone();
        let answer = http::Response::builder().status(status).body(body.into());
        answer.map_err(|error| FetchError::Broken(error.to_string()))
    }
}

impl MakeHttp for Siteverify {
    fn make(&self, _: Option<&std::path::Path>) -> Result<Http, tidegate_core::ConfigError> {
        Ok(Http::new(self.clone()))
    }
}

struct Kit {
    guard: Guard,
    store: Arc<FakeStore>,
    clock: ManualClock,
    service: Siteverify,
}

fn build(yaml: &str) -> Result<Kit, String> {
    let (clock, store, service) = (manual_clock(), FakeStore::new(), Siteverify::default());
    let yaml = format!("{{ issuer: \"https://api.test\", store: {{ file: unused }}, {yaml} }}");
    let config = serde_yaml::from_str(&yaml).expect("a service");
    let mac: Mac = Arc::new(|purpose, data| {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&Sha256::digest([b"key", purpose.as_bytes(), data].concat()));
        Ok(bytes)
    });
    let held: Arc<dyn Store> = store.clone();
    let (metrics, stores, kept, mut tasks) = (Metrics::new(), Stores::default(), Retained::new(), Vec::new());
    let used = Clock::new(clock.clone());
    let mut cx = BuildCx::new("auth", &used, &metrics, &stores, (&kept, None), &mut tasks).with_http(&service);
    let guard = Guard::with(&config, &held, mac, &mut cx).map_err(|errors| errors.to_string())?;
    Ok(Kit { guard, store, clock, service })
}

fn kit(yaml: &str) -> Kit {
    build(yaml).expect("a good configuration")
}

fn attempt<'a>(client: &str, account: &'a str) -> Attempt<'a> {
    Attempt { client: client.parse().expect("an address"), account, solution: None, trusted: false }
}

impl Kit {
    async fn admit(&self, client: &str, account: &str) -> Admission {
        self.guard.admit(&attempt(client, account)).await.expect("the store answers")
    }

    /// An attempt that gets through and fails; whether it locked the account.
    async fn fail(&self, client: &str, account: &str) -> bool {
        assert_eq!(self.admit(client, account).await, Admission::Go);
        self.guard.failed(&attempt(client, account)).await.expect("the store answers")
    }

    async fn solve(&self, client: &str, account: &str, solution: &str) -> Admission {
        let attempt = Attempt { solution: Some(solution), ..attempt(client, account) };
        self.guard.admit(&attempt).await.expect("the store answers")
    }
}

#[tokio::test]
async fn five_attempts_in_a_quarter_of_an_hour_and_the_sixth_is_told_when() {
    let kit = kit("attempts: {}");
    for account in ["a", "b", "c", "d", "e"] {
        assert_eq!(kit.admit(ATTACKER, account).await, Admission::Go);
        kit.clock.advance(MINUTE);
    }
    assert_eq!(kit.admit(ATTACKER, "f").await, Admission::TooMany(10 * MINUTE));
    assert_eq!(kit.admit(VICTIM, "a").await, Admission::Go, "somebody else");
    kit.clock.advance(10 * MINUTE);
    assert_eq!(kit.admit(ATTACKER, "f").await, Admission::Go);
}

/// They are counted before anything is known of them, so their order is no way around the limit.
#[tokio::test]
async fn of_a_thousand_attempts_at_once_five_get_through() {
    let kit = kit("attempts: {}");
    let all = futures_util::future::join_all((0..1000).map(|_| kit.admit(ATTACKER, "a"))).await;
    assert_eq!(all.iter().filter(|admission| **admission == Admission::Go).count(), 5);
}

#[tokio::test]
async fn one_account_has_a_limit_of_its_own_and_success_does_not_lift_it() {
    let kit = kit("attempts: { client: 100, account: 2 }");
    for _ in 0..2 {
        assert_eq!(kit.admit(ATTACKER, "a").await, Admission::Go);
        kit.guard.succeeded(&attempt(ATTACKER, "a")).await.expect("the store answers");
    }
    assert_eq!(kit.admit(ATTACKER, "a").await, Admission::TooMany(15 * MINUTE));
    assert_eq!(kit.admit(ATTACKER, "b").await, Admission::Go);
}

#[tokio::test]
async fn a_network_of_addresses_is_one_client() {
    let kit = kit("attempts: { client: 2 }");
    assert_eq!(kit.admit("2001:db8::1", "a").await, Admission::Go);
    assert_eq!(kit.admit("2001:db8::2", "b").await, Admission::Go);
    assert_eq!(kit.admit("2001:db8::3", "c").await, Admission::TooMany(15 * MINUTE));
}

#[tokio::test]
async fn many_attackers_stop_new_devices_at_an_account_and_not_those_that_it_knows() {
    let kit = kit("attempts: { account_total: 3 }");
    for client in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        assert_eq!(kit.admit(client, "a").await, Admission::Go);
    }
    assert_eq!(kit.admit(VICTIM, "a").await, Admission::TooMany(15 * MINUTE));
    let known = Attempt { trusted: true, ..attempt(VICTIM, "a") };
    assert_eq!(kit.guard.admit(&known).await.expect("the store answers"), Admission::Go);
    assert_eq!(kit.admit(VICTIM, "b").await, Admission::Go, "another account");
}

/// One client's refused attempts must not use up what others have.
#[tokio::test]
async fn refused_attempts_do_not_count_for_the_account() {
    let kit = kit("attempts: { client: 2, account_total: 3 }");
    for _ in 0..50 {
        kit.admit(ATTACKER, "a").await;
    }
    assert_eq!(kit.admit(VICTIM, "a").await, Admission::Go);
}

const LOCKOUT: &str =
    "attempts: { client: 1000, account: 1000, account_total: 1000 }, lockout: { failures: 3, max: 1h }";

#[tokio::test]
async fn failures_lock_and_the_lock_ends_on_time_and_doubles_up_to_the_longest() {
    let kit = kit(LOCKOUT);
    for minutes in [15, 30, 60, 60] {
        assert!(!kit.fail(ATTACKER, "a").await);
        assert!(!kit.fail(ATTACKER, "a").await);
        assert_eq!(kit.admit(ATTACKER, "a").await, Admission::Go, "not yet");
        assert!(kit.guard.failed(&attempt(ATTACKER, "a")).await.expect("the store answers"));
        assert_eq!(kit.admit(ATTACKER, "a").await, Admission::Locked(minutes * MINUTE));
        assert_eq!(kit.admit(ATTACKER, "b").await, Admission::Go, "another account");
        kit.clock.advance(minutes * MINUTE - Duration::from_millis(1));
        assert_eq!(kit.admit(ATTACKER, "a").await, Admission::Locked(Duration::from_millis(1)));
        kit.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(kit.admit(ATTACKER, "a").await, Admission::Go);
}

#[tokio::test]
async fn nobody_locks_others_out_from_elsewhere() {
    let kit = kit(LOCKOUT);
    for _ in 0..3 {
        kit.fail(ATTACKER, "a").await;
    }
    assert!(matches!(kit.admit(ATTACKER, "a").await, Admission::Locked(_)));
    assert_eq!(kit.admit(VICTIM, "a").await, Admission::Go);
}

#[tokio::test]
async fn a_success_forgets_failures() {
    let kit = kit(LOCKOUT);
    for _ in 0..5 {
        assert!(!kit.fail(VICTIM, "a").await);
        assert!(!kit.fail(VICTIM, "a").await);
        kit.guard.succeeded(&attempt(VICTIM, "a")).await.expect("the store answers");
    }
}

#[tokio::test]
async fn failures_are_forgotten_when_their_window_is_over_and_a_lock_after_a_quiet_time() {
    let kit = kit(LOCKOUT);
    for _ in 0..4 {
        assert!(!kit.fail(VICTIM, "a").await);
        assert!(!kit.fail(VICTIM, "a").await);
        kit.clock.advance(60 * MINUTE);
    }
    for _ in 0..3 {
        kit.fail(VICTIM, "a").await;
    }
    assert_eq!(kit.admit(VICTIM, "a").await, Admission::Locked(15 * MINUTE));
    kit.clock.advance(15 * MINUTE + 60 * MINUTE);
    for _ in 0..3 {
        kit.fail(VICTIM, "a").await;
    }
    assert_eq!(kit.admit(VICTIM, "a").await, Admission::Locked(15 * MINUTE), "the first lock is forgotten");
}

#[tokio::test]
async fn zero_failures_never_lock() {
    let kit = kit("attempts: { client: 1000, account: 1000 }, lockout: { failures: 0 }");
    for _ in 0..50 {
        assert!(!kit.fail(VICTIM, "a").await);
    }
}

const WORK: &str = "attempts: { client: 1000, account: 1000 }, challenge: { difficulty: 8 }";

fn solution_of(admission: &Admission) -> String {
    let Admission::Challenge(members) = admission else { panic!("{admission:?} is no challenge") };
    assert_eq!((&members["challenge"]["kind"], &members["challenge"]["difficulty"]), (&"work".into(), &8.into()));
    let puzzle = members["challenge"]["puzzle"].as_str().expect("a text");
    let tries = (0..).map(|number: u64| format!("{puzzle}:{number}"));
    tries.into_iter().find(|solution| Sha256::digest(solution)[0] == 0).expect("there is always one")
}

#[tokio::test]
async fn the_fourth_attempt_gets_a_challenge_and_a_solution_is_accepted_once() {
    let kit = kit(WORK);
    for _ in 0..3 {
        kit.fail(ATTACKER, "a").await;
    }
    let asked = kit.admit(ATTACKER, "a").await;
    let solution = solution_of(&asked);
    assert_eq!(kit.solve(ATTACKER, "a", &solution).await, Admission::Go);
    assert!(matches!(kit.solve(ATTACKER, "a", &solution).await, Admission::Challenge(_)), "used up");
    assert!(matches!(kit.solve(ATTACKER, "a", "anything").await, Admission::Challenge(_)));
    assert!(matches!(kit.admit(ATTACKER, "b").await, Admission::Challenge(_)), "the client is suspicious everywhere");
    assert!(matches!(kit.admit(VICTIM, "a").await, Admission::Challenge(_)), "and so is who asks for the account");
    assert_eq!(kit.admit(VICTIM, "b").await, Admission::Go);
    kit.clock.advance(15 * MINUTE);
    assert_eq!(kit.admit(ATTACKER, "a").await, Admission::Go);
}

#[tokio::test]
async fn a_login_to_an_account_of_ones_own_does_not_spare_the_challenge() {
    let kit = kit(WORK);
    for victim in ["a", "b", "c"] {
        kit.fail(ATTACKER, victim).await;
        assert!(matches!(kit.admit(ATTACKER, "own").await, Admission::Go | Admission::Challenge(_)));
        kit.guard.succeeded(&attempt(ATTACKER, "own")).await.expect("the store answers");
    }
    assert!(matches!(kit.admit(ATTACKER, "d").await, Admission::Challenge(_)));
}

#[tokio::test]
async fn being_asked_costs_no_attempt_and_a_wrong_solution_does() {
    let kit = kit("attempts: { client: 4 }, challenge: { difficulty: 8 }");
    for _ in 0..3 {
        kit.fail(ATTACKER, "a").await;
    }
    for _ in 0..10 {
        assert!(matches!(kit.admit(ATTACKER, "a").await, Admission::Challenge(_)));
    }
    assert!(matches!(kit.solve(ATTACKER, "a", "wrong").await, Admission::Challenge(_)));
    assert!(matches!(kit.solve(ATTACKER, "a", "wrong").await, Admission::TooMany(_)));
}

const SERVICE: &str = "attempts: { client: 1000, account: 1000 }, challenge: { kind: hcaptcha, after: 1, site_key: site, secret: \"s&cret\" }";

#[tokio::test]
async fn a_service_decides_and_when_it_can_not_nobody_gets_through() {
    let kit = kit(SERVICE);
    kit.fail(ATTACKER, "a").await;
    let Admission::Challenge(members) = kit.admit(ATTACKER, "a").await else { panic!("no challenge") };
    assert_eq!(members, serde_json::json!({ "challenge": { "kind": "hcaptcha", "site_key": "site" } }));
    let answers = [
        (200, r#"{"success":true}"#, true),
        (200, r#"{"success":true,"score":0.9}"#, true),
        (200, r#"{"success":true,"score":0.1}"#, false),
        (200, r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#, false),
    ];
    for (nth, (status, body, good)) in answers.into_iter().enumerate() {
        *kit.service.answer.lock() = (status, body.to_owned());
        let admission = kit.solve(ATTACKER, "a", &format!("token {nth}")).await;
        assert_eq!(matches!(admission, Admission::Go), good, "{body}: {admission:?}");
        assert_eq!(matches!(admission, Admission::Challenge(_)), !good, "{body}: {admission:?}");
    }
    let answers = [
        (500, r#"{"success":true}"#),
        (200, "no JSON"),
        (200, r#"{"success":false,"error-codes":["invalid-input-secret"]}"#),
    ];
    for (status, body) in answers {
        *kit.service.answer.lock() = (status, body.to_owned());
        assert_eq!(kit.solve(ATTACKER, "a", "another").await, Admission::Busy, "{body}");
    }
    assert_eq!(kit.service.asked.lock()[0], "secret=s%26cret&response=token%200");
    *kit.service.answer.lock() = (200, r#"{"success":true}"#.to_owned());
    assert!(matches!(kit.solve(ATTACKER, "a", "token 0").await, Admission::Challenge(_)), "used up");
}

#[tokio::test]
async fn a_device_is_known_by_what_it_was_given_for_its_account_alone() {
    let kit = kit("attempts: {}");
    let token = kit.guard.device_token("a").expect("keys");
    assert!(kit.guard.knows("a", Some(&token)));
    assert!(!kit.guard.knows("b", Some(&token)));
    let last = if token.ends_with('A') { "Q" } else { "A" };
    let forged = format!("{}{last}", &token[..53]);
    let later = format!("z{}", &token[1..]);
    for bad in [None, Some(""), Some(&*forged), Some(&*later), Some("ä"), Some(&token[..53])] {
        assert!(!kit.guard.knows("a", bad), "{bad:?}");
    }
    kit.clock.advance(device::KNOWN_FOR);
    assert!(!kit.guard.knows("a", Some(&token)));
}

#[tokio::test]
async fn registrations_are_limited_by_the_hour() {
    let kit = kit("attempts: {}");
    let client = VICTIM.parse().expect("an address");
    for _ in 0..2 {
        assert_eq!(kit.guard.registers(client, 2).await.expect("the store answers"), None);
    }
    assert_eq!(kit.guard.registers(client, 2).await.expect("the store answers"), Some(60 * MINUTE));
}

#[tokio::test]
async fn a_store_that_does_not_answer_admits_nobody() {
    let kit = kit(WORK);
    kit.store.set_down(true);
    assert!(kit.guard.admit(&attempt(VICTIM, "a")).await.is_err());
    assert!(kit.guard.failed(&attempt(VICTIM, "a")).await.is_err());
    assert!(kit.guard.succeeded(&attempt(VICTIM, "a")).await.is_err());
}

#[tokio::test]
async fn what_can_not_work_is_refused() {
    for (yaml, path) in [
        ("attempts: { client: 0 }", "attempts.client"),
        ("attempts: { account: 0 }", "attempts.account"),
        ("attempts: { account_total: 0 }", "attempts.account_total"),
        ("attempts: { window: 0s }", "attempts.window"),
        ("lockout: { duration: 0s }", "lockout.duration"),
        ("lockout: { duration: 2h, max: 1h }", "lockout.max"),
        ("challenge: { after: 0 }", "challenge.after"),
        ("challenge: { difficulty: 7 }", "challenge.difficulty"),
        ("challenge: { difficulty: 29 }", "challenge.difficulty"),
        ("challenge: { secret: x }", "challenge.secret"),
        ("challenge: { hostnames: [a.example] }", "challenge.hostnames"),
        (
            "challenge: { kind: turnstile, site_key: x, secret: x, hostnames: [a.example, \"https://a\"] }",
            "challenge.hostnames[1]",
        ),
        ("challenge: { kind: turnstile, site_key: x }", "challenge.secret"),
        ("challenge: { kind: turnstile, secret: x }", "challenge.site_key"),
        ("challenge: { kind: turnstile, site_key: x, secret: x, url: /verify }", "challenge.url"),
    ] {
        let error = build(yaml).err().unwrap_or_else(|| panic!("{yaml} is taken"));
        assert!(error.starts_with(&format!("{path}: ")), "{yaml}: {error}");
    }
}

#[tokio::test]
async fn a_solution_from_a_page_elsewhere_is_wrong_where_pages_are_named() {
    let named = |names: &str| SERVICE.replace("after: 1,", &format!("after: 1, hostnames: [{names}],"));
    for (names, answer, good) in [
        ("app.example, other.example", r#"{"success":true,"hostname":"other.example"}"#, true),
        ("app.example", r#"{"success":true,"hostname":"APP.example"}"#, true),
        ("app.example", r#"{"success":true,"hostname":"evil.example"}"#, false),
        ("app.example", r#"{"success":true,"hostname":"app.example.evil.example"}"#, false),
        ("app.example", r#"{"success":true,"hostname":null}"#, false),
        ("app.example", r#"{"success":true}"#, false),
        ("", r#"{"success":true,"hostname":"evil.example"}"#, true),
    ] {
        let kit = kit(&named(names));
        kit.fail(ATTACKER, "a").await;
        *kit.service.answer.lock() = (200, answer.to_owned());
        let admission = kit.solve(ATTACKER, "a", "token").await;
        assert_eq!(matches!(admission, Admission::Go), good, "{names} {answer}: {admission:?}");
    }
}
