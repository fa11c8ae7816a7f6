//! Requests in flight: given back when they end, when their gateway dies, and whatever was lost on the way.

use super::*;

const FAST: Pace = Pace {
    lease: Duration::from_millis(400),
    renew: Duration::from_millis(50),
    memory: Duration::from_millis(400),
    heartbeat: Duration::from_millis(50),
    sweep: Duration::from_millis(20),
};

fn three() -> (Rule, Key) {
    (Rule::concurrency(3).expect("a rule"), key(1, "k"))
}

fn one(rule: &Rule, key: &Key) -> Settlement {
    Settlement { rule: rule.clone(), key: key.clone(), units: -1, policy: 0 }
}

async fn take(store: &RedisStore, rule: &Rule, key: &Key) -> bool {
    store.take(&[ask(rule, key, 1)], now()).await.expect("an answer").allowed
}

async fn wait_for_room(store: &RedisStore, rule: &Rule, key: &Key, room: u64) {
    let there = async || store.look(rule, key, now()).await.expect("an answer").remaining == room;
    tidegate_testkit::wait_until_async("there is room", there).await;
}

#[tokio::test]
async fn what_two_gateways_have_in_flight_is_counted_together_and_given_back() {
    let server = server().await;
    let (a, b) = (server.gateway(), server.gateway());
    let _background = (background(&a), background(&b));
    let (rule, key) = three();
    assert!(take(&a, &rule, &key).await && take(&b, &rule, &key).await && take(&b, &rule, &key).await);
    assert!(!take(&a, &rule, &key).await, "three are in flight");
    assert_eq!(a.release(&one(&rule, &key)), 0);
    wait_for_room(&a, &rule, &key, 1).await;
    assert_eq!(a.release(&one(&rule, &key)), 1, "nothing of this gateway is in flight any more");
    assert!(take(&a, &rule, &key).await);
    assert!(!take(&b, &rule, &key).await);
    assert_eq!(a.release(&one(&rule, &key)), 0);
    for _ in 0..2 {
        assert_eq!(b.release(&one(&rule, &key)), 0);
    }
    wait_for_room(&a, &rule, &key, 3).await;
    assert_eq!(server.ask::<i64>(&["EXISTS", &a.names.key(&rule, &key)]).await, 0);
}

#[tokio::test]
async fn a_gateway_that_dies_gives_back_after_its_lease_and_one_that_lives_does_not() {
    let server = server().await;
    let (dead, alive) = (server.gateway_at(FAST), server.gateway_at(FAST));
    let _background = background(&alive);
    let (rule, key) = three();
    assert!(take(&dead, &rule, &key).await && take(&dead, &rule, &key).await);
    assert!(take(&alive, &rule, &key).await);
    wait_for_room(&alive, &rule, &key, 2).await;
    // Over many leases the one that lives keeps its own.
    tokio::time::sleep(3 * FAST.lease).await;
    wait_for_room(&alive, &rule, &key, 2).await;
    assert_eq!(alive.release(&one(&rule, &key)), 0);
    wait_for_room(&alive, &rule, &key, 3).await;
}

#[tokio::test]
async fn what_was_lost_on_the_way_is_made_good() {
    let server = server().await;
    // No lease runs out meanwhile: what makes good is what the gateway says.
    let store = server.gateway_at(Pace { lease: Duration::from_secs(30), ..FAST });
    let (rule, key) = three();
    assert!(take(&store, &rule, &key).await && take(&store, &rule, &key).await);
    // A release that is never told, and a take whose answer never came.
    assert_eq!(store.shared.flights.release(&store.names.key(&rule, &key), 1).rest, 0);
    let asks = [ask(&rule, &key, 1)];
    let (names, args) = store.question(&asks, &[], now(), None, store.shared.holder());
    let _: Vec<i64> = store.redis.script(&LIMITS, &names, &args).await.expect("an answer");
    assert_eq!(store.look(&rule, &key, now()).await.expect("an answer").remaining, 0);
    let _background = background(&store);
    wait_for_room(&store, &rule, &key, 2).await;
    // The server forgets everything: what is in flight is told again.
    let () = server.ask(&["FLUSHALL"]).await;
    wait_for_room(&store, &rule, &key, 2).await;
    assert_eq!(store.release(&one(&rule, &key)), 0);
    wait_for_room(&store, &rule, &key, 3).await;
}

#[tokio::test]
async fn a_gateway_knows_how_many_there_are() {
    let server = server().await;
    let (a, b) = (server.gateway_at(FAST), server.gateway_at(FAST));
    assert_eq!(a.gateways(), 1);
    let first = background(&a);
    {
        let _second = background(&b);
        tidegate_testkit::wait_until("two are there", || a.gateways() == 2 && b.gateways() == 2).await;
    }
    tidegate_testkit::wait_until("one has gone", || a.gateways() == 1).await;
    drop(first);
}

/// A reload: the next task goes on where the last one was, and what was waiting at the end is told.
#[tokio::test]
async fn what_is_waiting_when_the_gateway_ends_is_told() {
    let server = server().await;
    let store = server.gateway();
    let rule = Rule::fixed_window(rate("1000/h")).expect("a rule");
    let key = key(1, "k");
    let (stop, stopped) = watch::channel(false);
    let old = tokio::spawn(store.clone().run(Stop::new(stopped)));
    let (stop_new, stopped) = watch::channel(false);
    let new = tokio::spawn(store.clone().run(Stop::new(stopped)));
    stop.send(true).expect("it listens");
    old.await.expect("no panic");
    for _ in 0..500 {
        store.settle(Settlement { rule: rule.clone(), key: key.clone(), units: 1, policy: 0 }, now());
    }
    stop_new.send(true).expect("it listens");
    new.await.expect("no panic");
    assert_eq!(store.look(&rule, &key, now()).await.expect("an answer").remaining, 500);
}

/// Clients strike as often as they like; what is given back to others doesn't wait for that, nor is it dropped.
#[tokio::test]
async fn a_flood_of_strikes_delays_no_release() {
    let server = server().await;
    let store = server.gateway();
    let (rule, key) = three();
    assert!(take(&store, &rule, &key).await);
    let strike = Strike {
        rule: Rule::fixed_window(rate("1000000/h")).expect("a rule"),
        key: key.clone(),
        ban: Rule::ban(),
        ban_key: key.clone(),
        length: 3_600_000_000,
        policy: 0,
    };
    for _ in 0..10_000 {
        store.strike(&strike);
    }
    let dropped = store.tally().dropped.load(std::sync::atomic::Ordering::Relaxed);
    assert!(dropped > 0, "the premise: more than can wait");
    assert_eq!(store.release(&one(&rule, &key)), 0);
    assert_eq!(store.tally().dropped.load(std::sync::atomic::Ordering::Relaxed), dropped, "there is room for it");
    let _background = background(&store);
    wait_for_room(&store, &rule, &key, 3).await;
    let told: Vec<String> = server.ask(&["MGET", &store.names.key(&strike.rule, &key)]).await;
    let told = told.first().and_then(|told| told.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or(0);
    assert!(told < 4096, "it waited for {told} strikes");
}
