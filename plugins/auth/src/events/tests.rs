//! Events and their webhook, on a clock turned by hand.

use std::collections::VecDeque;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use parking_lot::Mutex;
use serde_json::Value;
use tidegate_core::facts::Country;
use tidegate_core::{Bytes, Fetch, FetchError, FetchLimits, Http, MakeHttp, Metrics, Retained, Stop, Stores, Task};
use tidegate_testkit::{ManualClock, manual_clock, wait_until};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::id::Id;
use crate::store::fake::FakeStore;

const SECRET: &str = "a secret that the receiver has, too";

/// A receiver: what it answers next (200 when nothing is said), and what it was told.
#[derive(Clone, Default)]
struct Receiver {
    answers: Arc<Mutex<VecDeque<Result<u16, FetchError>>>>,
    told: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

#[tidegate_core::async_trait]
impl Fetch for Receiver {
    async fn fetch(&self, request: http::Request<Bytes>, _: FetchLimits) -> Result<http::Response<Bytes>, FetchError> {
        let status = self.answers.lock().pop_front().unwrap_or(Ok(200));
        self.told.lock().push(request);
        Ok(http::Response::builder().status(status?).body(Bytes::new()).expect("a status"))
    }
}

impl MakeHttp for Receiver {
    fn make(&self, _: Option<&std::path::Path>) -> Result<Http, ConfigError> {
        Ok(Http::new(self.clone()))
    }
}

/// One gateway with its metrics, whatever its configuration is at the time.
#[derive(Default)]
struct Kit {
    receiver: Receiver,
    clock: Option<ManualClock>,
    metrics: Metrics,
    kept: Retained,
}

/// One configuration, at work.
struct Current {
    events: Arc<Events>,
    kept: Retained,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Kit {
    fn new() -> Self {
        Self { clock: Some(manual_clock()), ..Self::default() }
    }

    fn clock(&self) -> &ManualClock {
        self.clock.as_ref().expect("made with one")
    }

    fn build(&self, yaml: &str, before: &Retained) -> Result<(Arc<Events>, Vec<Task>, Retained), String> {
        let config = serde_yaml::from_str(yaml).expect("events");
        let (stores, kept, mut tasks) = (Stores::default(), Retained::new(), Vec::new());
        let clock = Clock::new(self.clock().clone());
        let mut cx = BuildCx::new("auth", &clock, &self.metrics, &stores, (&kept, Some(before)), &mut tasks)
            .with_http(&self.receiver);
        let events = Events::build(&config, &mut cx).map_err(|errors| errors.to_string())?;
        Ok((events, tasks, kept))
    }

    fn start(&self, yaml: &str) -> Current {
        self.start_after(yaml, &self.kept)
    }

    fn start_after(&self, yaml: &str, before: &Retained) -> Current {
        let (events, tasks, kept) = self.build(yaml, before).expect("a good configuration");
        let (stop, stopped) = watch::channel(false);
        let tasks = tasks.into_iter().map(|task| tokio::spawn(task.into_future(Stop::new(stopped.clone())))).collect();
        Current { events, kept, stop, tasks }
    }

    async fn told(&self, count: usize) -> Vec<http::Request<Bytes>> {
        wait_until("the receiver is told", || self.receiver.told.lock().len() >= count).await;
        self.receiver.told.lock().clone()
    }

    fn count(&self, name: &str, label: &str) -> u64 {
        let label_name = if name.contains("calls") {
            "result"
        } else if name.contains("dropped") {
            "why"
        } else {
            "event"
        };
        self.metrics.counter(name, "help", &[label_name]).expect("made").with_label_values(&[label]).get()
    }
}

impl Current {
    async fn end(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("joined");
        }
    }
}

fn origin() -> Origin {
    Origin {
        client: "192.0.2.7".parse().expect("an address"),
        country: Country::parse(b"de"),
        agent: "curl/8".to_owned(),
        request_id: "r-1".to_owned(),
    }
}

fn event(kind: EventKind) -> Event {
    Event::new(kind, &origin()).user(Id([1; 16])).session(Id([2; 16]))
}

fn hook(more: &str) -> String {
    format!("webhook: {{ url: \"http://receiver.test/hook\", secret: \"{SECRET}\", {more} }}")
}

fn header<'r>(request: &'r http::Request<Bytes>, name: &str) -> &'r str {
    request.headers()[name].to_str().expect("text")
}

#[tokio::test]
async fn an_event_is_told_signed_with_what_is_known_and_counted() {
    let kit = Kit::new();
    let current = kit.start(&hook("events: [login, token_reuse]"));
    current.events.emit(event(EventKind::Logout));
    current.events.emit(event(EventKind::Login));
    let told = kit.told(1).await;
    let (request, body) = (&told[0], &told[0].body()[..]);
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/hook"));
    let told: Value = serde_json::from_slice(body).expect("JSON");
    let (user, session) = (Id([1; 16]).text(), Id([2; 16]).text());
    assert_eq!(
        told,
        serde_json::json!({ "type": "login", "timestamp": "2026-01-01T00:00:00Z", "data": {
            "user": user, "session": session, "client": "192.0.2.7", "country": "DE", "agent": "curl/8",
            "request_id": "r-1",
        } })
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [header(request, "webhook-id").as_bytes(), b".1767225600.", body].concat();
    let signature = base64::engine::general_purpose::STANDARD.encode(hmac::sign(&key, &signed));
    assert_eq!(header(request, "webhook-timestamp"), "1767225600");
    assert_eq!(header(request, "webhook-signature"), format!("v1,{signature}"));
    current.end().await;
    assert_eq!(kit.receiver.told.lock().len(), 1, "nobody asked for logouts");
    assert_eq!(kit.count("tidegate_auth_events_total", "logout"), 1);
    assert_eq!(kit.count("tidegate_auth_events_total", "login"), 1);
}

#[tokio::test]
async fn what_fails_is_told_again_later_each_time_with_the_same_id_and_given_up_at_last() {
    let kit = Kit::new();
    let current = kit.start(&hook("retries: 3"));
    kit.receiver.answers.lock().extend([Ok(500), Err(FetchError::Connect("x".into())), Ok(302), Ok(503)]);
    current.events.emit(event(EventKind::Login));
    for (nth, seconds) in [1, 2, 4].into_iter().enumerate() {
        kit.told(nth + 1).await;
        wait_until("it waits", || kit.clock().sleepers() == 1).await;
        // A fifth less at most: it does not come before.
        kit.clock().advance(Duration::from_millis(seconds * 1000 * 4 / 5 - 1));
        assert_eq!(kit.receiver.told.lock().len(), nth + 1, "too early");
        kit.clock().advance(Duration::from_secs(seconds));
    }
    let told = kit.told(4).await;
    assert!(told.iter().all(|request| header(request, "webhook-id") == header(&told[0], "webhook-id")));
    assert_ne!(header(&told[0], "webhook-timestamp"), header(&told[3], "webhook-timestamp"), "of the call");
    wait_until("given up", || kit.count("tidegate_auth_webhook_dropped_total", "given_up") == 1).await;
    assert_eq!(kit.count("tidegate_auth_webhook_calls_total", "failed"), 4);
    current.end().await;
    assert_eq!(kit.receiver.told.lock().len(), 4);
}

#[tokio::test]
async fn the_oldest_go_when_too_many_wait() {
    let kit = Kit::new();
    let (events, _tasks, _kept) = kit.build(&hook("queue: 2"), &kit.kept).expect("a good configuration");
    for kind in [EventKind::Signup, EventKind::Login, EventKind::Logout] {
        events.emit(event(kind));
    }
    assert_eq!(kit.count("tidegate_auth_webhook_dropped_total", "full"), 1);
    let (stop, stopped) = watch::channel(false);
    let tasks = _tasks.into_iter().map(|task| tokio::spawn(task.into_future(Stop::new(stopped.clone())))).collect();
    let current = Current { events, kept: _kept, stop, tasks };
    let told = kit.told(2).await;
    let kinds: Vec<Value> = told.iter().map(|request| serde_json::from_slice(request.body()).expect("JSON")).collect();
    assert_eq!((&kinds[0]["type"], &kinds[1]["type"]), (&"login".into(), &"logout".into()));
    current.end().await;
}

#[tokio::test]
async fn what_waits_is_told_by_the_next_configuration_and_once() {
    let kit = Kit::new();
    kit.receiver.answers.lock().push_back(Ok(500));
    let before = kit.start(&hook(""));
    before.events.emit(event(EventKind::Login));
    kit.told(1).await;
    let after = kit.start_after(&hook("retries: 5"), &before.kept);
    before.end().await;
    wait_until("it waits", || kit.clock().sleepers() == 1).await;
    kit.clock().advance(Duration::from_secs(1));
    kit.told(2).await;
    after.end().await;
    assert_eq!(kit.receiver.told.lock().len(), 2);
}

#[tokio::test]
async fn what_is_due_at_the_end_of_the_gateway_is_still_told() {
    let kit = Kit::new();
    let current = kit.start(&hook(""));
    for _ in 0..100 {
        current.events.emit(event(EventKind::Login));
    }
    current.end().await;
    assert_eq!(kit.receiver.told.lock().len(), 100);
}

#[tokio::test]
async fn a_new_device_or_place_is_told_and_the_first_of_all_is_not() {
    let kit = Kit::new();
    let current = kit.start(&hook("events: [login_new]"));
    let (store, user) = (FakeStore::new(), Id([1; 16]));
    let at = |agent: &str, country: Option<&[u8]>, client: &str| Origin {
        agent: agent.to_owned(),
        country: country.and_then(Country::parse),
        client: client.parse().expect("an address"),
        ..origin()
    };
    let logins = [
        (at("a", Some(b"DE"), "192.0.2.1"), ""),
        (at("a", Some(b"DE"), "203.0.113.9"), ""),
        (at("b", Some(b"DE"), "192.0.2.1"), "device"),
        (at("a", Some(b"FR"), "192.0.2.1"), "place"),
        (at("c", None, "198.51.100.1"), "device,place"),
        (at("c", None, "198.51.100.2"), ""),
        (at("c", None, "198.51.101.2"), "place"),
        (at("c", None, "2001:db8::1"), "place"),
        (at("c", None, "2001:db8:0:9::1"), ""),
    ];
    let mut expected = Vec::new();
    for (login, new) in logins {
        current.events.new_login(&*store, user, None, &login).await;
        expected.extend((!new.is_empty()).then(|| new.split(',').map(Value::from).collect::<Value>()));
        let told = kit.told(expected.len()).await;
        let last = told.last().map(|request| serde_json::from_slice::<Value>(request.body()).expect("JSON"));
        assert_eq!(
            (told.len(), last.map(|told| told["data"]["new"].clone())),
            (expected.len(), expected.last().cloned())
        );
    }
    // Somebody else's first.
    current.events.new_login(&*store, Id([9; 16]), None, &at("z", None, "192.0.2.1")).await;
    // After half a year without it, a device is as good as new.
    kit.clock().advance(Duration::from_secs(100 * 24 * 3600));
    current.events.new_login(&*store, user, None, &at("c", None, "2001:db8::1")).await;
    kit.clock().advance(Duration::from_secs(100 * 24 * 3600));
    current.events.new_login(&*store, user, None, &at("c", None, "2001:db8::1")).await;
    assert_eq!(kit.count("tidegate_auth_events_total", "login_new"), expected.len() as u64);
    current.events.new_login(&*store, user, None, &at("a", None, "2001:db8::1")).await;
    assert_eq!(kit.count("tidegate_auth_events_total", "login_new"), expected.len() as u64 + 1);
    // A store that is gone costs the event alone.
    store.set_down(true);
    current.events.new_login(&*store, user, None, &at("q", None, "192.0.2.1")).await;
    current.end().await;
}

#[tokio::test]
async fn what_can_not_work_is_refused() {
    let kit = Kit::new();
    for (yaml, path) in [
        ("webhook: { url: /hook, secret: \"0123456789012345678901234\" }", "webhook.url"),
        ("webhook: { url: \"ftp://a/hook\", secret: \"0123456789012345678901234\" }", "webhook.url"),
        ("webhook: { url: \"http://a\", secret: short }", "webhook.secret"),
        (
            "webhook: { url: \"http://a\", secret: \"0123456789012345678901234\", events: [login, nothing] }",
            "webhook.events[1]",
        ),
        ("webhook: { url: \"http://a\", secret: \"0123456789012345678901234\", queue: 0 }", "webhook.queue"),
        ("webhook: { url: \"http://a\", secret: \"0123456789012345678901234\", timeout: 0s }", "webhook.timeout"),
    ] {
        let error = kit.build(yaml, &kit.kept).err().unwrap_or_else(|| panic!("{yaml} is taken"));
        assert!(error.starts_with(&format!("{path}: ")), "{yaml}: {error}");
        assert!(!error.contains("0123456789"), "no secret in {error}");
    }
}
