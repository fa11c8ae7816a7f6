//! Names among the targets: resolved once, followed when they move, kept when the name server fails.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{ManualClock, NameServer, Says, build_at, pick, until};
use tidegate_upstream::{Pick, Pool, Upstreams};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

/// A gateway's upstreams, resolved and kept fresh.
struct Running {
    upstreams: Upstreams,
    clock: ManualClock,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    async fn start(yaml: &str) -> Self {
        let clock = ManualClock::new();
        let upstreams = build_at(yaml, &clock);
        upstreams.prepare(LONG).await;
        let (stop, stopped) = watch::channel(false);
        let tasks = upstreams.start(&stopped).into_iter().map(tokio::spawn).collect();
        Self { upstreams, clock, stop, tasks }
    }

    fn pool(&self) -> &Arc<Pool> {
        self.upstreams.get("app").unwrap()
    }

    fn address(&self) -> String {
        pick(self.pool()).address().to_owned()
    }

    fn failure(&self) -> Option<String> {
        self.pool().snapshot().targets[0].failure.clone()
    }

    /// Lets time pass once the name's task waits for it.
    async fn pass(&self, time: Duration) {
        self.idle().await;
        self.clock.advance(time);
    }

    async fn idle(&self) {
        until("the task waits", || self.clock.sleepers() == 1).await;
    }
}

/// Their time is long enough for a busy machine.
fn app(server: &NameServer) -> String {
    format!("app: {{ targets: [\"app.test:3000\"], resolve: {{ nameserver: \"{}\", timeout: 15s }} }}", server.address)
}

#[tokio::test]
async fn a_thousand_picks_ask_the_name_server_once() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&app(&server)).await;

    for _ in 0..1_000 {
        assert_eq!(app.address(), "10.0.0.1:3000");
    }

    app.pass(54 * SECOND).await;
    app.idle().await;
    assert_eq!(server.questions(), 1);
}

#[tokio::test]
async fn a_name_that_moves_is_followed_within_its_ttl() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&app(&server)).await;
    assert_eq!(app.address(), "10.0.0.1:3000");

    server.now_says(Says::v4([10, 0, 0, 2], 60));
    app.pass(60 * SECOND).await;

    until("the pool moves", || app.address() == "10.0.0.2:3000").await;
    assert_eq!(server.questions(), 2);
}

#[tokio::test]
async fn a_long_ttl_is_cut_and_a_short_one_raised() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 86_400)).await;
    let app = Running::start(&app(&server)).await;

    app.pass(300 * SECOND).await;
    until("asked after the longest time", || server.questions() == 2).await;

    server.now_says(Says::v4([10, 0, 0, 1], 0));
    app.pass(300 * SECOND).await;
    until("asked again", || server.questions() == 3).await;
    app.pass(4 * SECOND).await;
    app.idle().await;
    assert_eq!(server.questions(), 3, "a TTL of 0 is raised to 5s");
    app.pass(SECOND).await;
    until("asked after the shortest time", || server.questions() == 4).await;
}

#[tokio::test]
async fn the_last_good_answer_outlives_the_name() {
    for trouble in [Says::NoSuchName, Says::ServerFailure, Says::Addresses(Vec::new(), 60)] {
        let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
        let app = Running::start(&app(&server)).await;

        server.now_says(trouble);
        app.pass(60 * SECOND).await;
        until("the failure is known", || app.failure().is_some()).await;
        assert_eq!(app.address(), "10.0.0.1:3000");

        server.now_says(Says::v4([10, 0, 0, 2], 60));
        app.pass(SECOND).await;
        until("the pool recovers", || app.address() == "10.0.0.2:3000").await;
        assert_eq!(app.failure(), None);
    }
}

#[tokio::test]
async fn a_silent_name_server_is_given_up_on_in_time() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let yaml = app(&server).replace("timeout: 15s", "timeout: 2s");
    let app = Running::start(&yaml).await;

    server.now_says(Says::Nothing);
    app.pass(60 * SECOND).await;

    until("the failure is known", || app.failure().is_some()).await;
    assert_eq!(app.address(), "10.0.0.1:3000");
}

#[tokio::test]
async fn a_name_that_never_was_leaves_the_pool_empty_until_it_is() {
    let server = NameServer::start(Says::NoSuchName).await;
    let app = Running::start(&app(&server)).await;
    assert!(app.pool().pick(&Pick::default()).is_err());
    assert!(!app.pool().is_ready());
    assert_eq!(app.failure().as_deref(), Some("no such name"));

    server.now_says(Says::v4([10, 0, 0, 1], 60));
    app.pass(SECOND).await;

    until("the pool is ready", || app.pool().is_ready()).await;
    assert_eq!(app.address(), "10.0.0.1:3000");
}

#[tokio::test]
async fn the_start_does_not_wait_for_a_silent_name_server() {
    let server = NameServer::start(Says::Nothing).await;
    let yaml = app(&server).replace("timeout: 15s", "timeout: 1h");
    let upstreams = crate::support::build(&yaml).unwrap();

    upstreams.prepare(Duration::from_millis(50)).await;

    assert!(!upstreams.get("app").unwrap().is_ready());
}

#[tokio::test]
async fn every_address_of_a_name_takes_turns() {
    let addresses = [[10, 0, 0, 3], [10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 1]].map(Into::into).to_vec();
    let server = NameServer::start(Says::Addresses(addresses, 60)).await;
    let app = Running::start(&app(&server)).await;

    let turns: Vec<_> = (0..6).map(|_| app.address()).collect();

    assert_eq!(turns[..3], ["10.0.0.1:3000", "10.0.0.2:3000", "10.0.0.3:3000"]);
    assert_eq!(turns[..3], turns[3..]);
    assert_eq!(&**pick(app.pool()).target(), "app.test:3000");
}

#[tokio::test]
async fn an_address_that_stays_keeps_its_identity() {
    let both = vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    let server = NameServer::start(Says::Addresses(both, 60)).await;
    let app = Running::start(&app(&server)).await;
    let (first, second) = (pick(app.pool()), pick(app.pool()));

    server.now_says(Says::v4([10, 0, 0, 2], 60));
    app.pass(60 * SECOND).await;
    until("one address left", || app.pool().snapshot().targets[0].addresses.len() == 1).await;

    assert_eq!(pick(app.pool()).id(), second.id());
    assert_ne!(first.id(), second.id());
}

#[tokio::test]
async fn ipv4_is_preferred_and_ipv6_found_where_it_is_all_there_is() {
    let (v4, v6) = ([10, 0, 0, 1].into(), "2001:db8::1".parse().unwrap());
    let server = NameServer::start(Says::Addresses(vec![v6, v4], 60)).await;
    let only_v6 = NameServer::start(Says::Addresses(vec![v6], 60)).await;

    let addresses = async |server: &NameServer, family: &str| {
        let yaml = app(server).replace("resolve: {", &format!("resolve: {{ addresses: {family},"));
        let target = Running::start(&yaml).await.pool().snapshot().targets.remove(0);
        let mut addresses: Vec<_> = target.addresses.into_iter().map(|address| address.address).collect();
        addresses.sort_unstable();
        addresses
    };

    assert_eq!(addresses(&server, "prefer_ipv4").await, ["10.0.0.1:3000"]);
    assert_eq!(addresses(&server, "prefer_ipv6").await, ["[2001:db8::1]:3000"]);
    assert_eq!(addresses(&server, "all").await, ["10.0.0.1:3000", "[2001:db8::1]:3000"]);
    assert_eq!(addresses(&only_v6, "prefer_ipv4").await, ["[2001:db8::1]:3000"]);
    assert!(addresses(&only_v6, "ipv4").await.is_empty());
}

#[tokio::test]
async fn localhost_is_not_asked_of_a_name_server() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&app(&server).replace("app.test", "localhost")).await;

    assert_eq!(app.address(), "127.0.0.1:3000");
    assert_eq!(server.questions(), 0);
}

#[tokio::test]
async fn names_with_underscores_and_final_dots_resolve() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    for name in ["my_service", "users.internal."] {
        let app = Running::start(&app(&server).replace("app.test", name)).await;
        assert_eq!(app.address(), "10.0.0.1:3000", "{name}");
    }
}

#[tokio::test]
async fn a_pool_kept_over_a_reload_is_not_resolved_anew() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&self::app(&server)).await;
    let (_stop, stopped) = watch::channel(false);

    let reloaded = crate::support::build_after(&self::app(&server), Some(&app.upstreams)).unwrap();
    reloaded.prepare(LONG).await;

    assert!(reloaded.start(&stopped).is_empty(), "the pool has a task already");
    assert_eq!(server.questions(), 1);
    assert!(reloaded.get("app").unwrap().is_ready());
}

#[tokio::test]
async fn a_reload_while_the_name_server_is_down_keeps_the_last_good_answer() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&self::app(&server)).await;
    server.now_says(Says::ServerFailure);

    let changed = self::app(&server).replace("targets:", "timeouts: { read: 1s }, targets:");
    let reloaded = crate::support::build_after(&changed, Some(&app.upstreams)).unwrap();

    let pool = reloaded.get("app").unwrap();
    assert_eq!(pick(pool).address(), "10.0.0.1:3000");
    assert_eq!(pick(pool).peer().options.read_timeout, Some(SECOND));
    let (_stop, stopped) = watch::channel(false);
    assert_eq!(reloaded.start(&stopped).len(), 1, "the new pool needs a task of its own");
}

#[tokio::test]
async fn other_settings_of_names_keep_the_last_good_answer_and_ask_at_once() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&self::app(&server)).await;
    let changed = self::app(&server).replace("resolve: {", "resolve: { min: 6s,");

    server.now_says(Says::ServerFailure);
    let down = crate::support::build_after(&changed, Some(&app.upstreams)).unwrap();
    down.prepare(LONG).await;
    assert_eq!(pick(down.get("app").unwrap()).address(), "10.0.0.1:3000");

    server.now_says(Says::v4([10, 0, 0, 2], 60));
    let up = crate::support::build_after(&changed, Some(&app.upstreams)).unwrap();
    up.prepare(LONG).await;
    assert_eq!(pick(up.get("app").unwrap()).address(), "10.0.0.2:3000");
}

#[tokio::test]
async fn the_task_ends_with_the_gateway() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&self::app(&server)).await;
    app.idle().await;

    app.stop.send(true).unwrap();

    for task in app.tasks {
        tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_task_ends_with_its_pool() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app = Running::start(&self::app(&server)).await;
    app.idle().await;

    drop(app.upstreams);

    for task in app.tasks {
        tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    }
}
