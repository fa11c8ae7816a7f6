//! Whatever a script has done when it is cut off: no key stays for ever.

use super::*;

/// The script, that fails after so many writes.
fn cut(script: &Script, after: usize) -> Script {
    let text = script
        .text()
        .replace("  -- step\n", &format!("  steps = steps + 1\n  if steps == {after} then error('cut') end\n"));
    assert_ne!(text, script.text(), "there is a step to cut after");
    Script::new(&format!("local steps = 0\n{text}"))
}

fn assert_cut<T: std::fmt::Debug>(told: Result<T, StoreError>) {
    let error = told.expect_err("it was cut");
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("cut"), "it failed by itself: {cause}");
}

/// The only commands there are: what makes a key gives it a time to live in the same command.
#[test]
fn nothing_is_written_but_with_its_time_to_live() {
    for script in [&LIMITS, &LIMITS_AND_LOGS, &STRIKE, &RENEW] {
        for call in script.text().split("redis.call(").skip(1) {
            let reads = ["'TIME')", "'MGET', ", "'GET', ", "'GETRANGE', ", "'STRLEN', "];
            let writes = ["'SET', key, value, 'PX', ", "'DEL', key)"];
            // Of a key that has its time to live already.
            let changes = ["'PEXPIRE', key, life)", "'SETRANGE', key, 0, value.head)", "'SETRANGE', key, value.at, "];
            let mut known = reads.iter().chain(&writes).chain(&changes);
            assert!(known.any(|known| call.starts_with(known)), "{call}");
        }
        let swallowed: Vec<_> = script.text().split("redis.pcall(").skip(1).collect();
        assert!(swallowed.iter().all(|call| call.starts_with("'GETRANGE', ")), "no failed write is swallowed");
    }
}

#[tokio::test]
async fn a_script_cut_off_after_any_write_leaves_no_key_for_ever() {
    let server = server().await;
    let store = server.gateway();
    let rules: Vec<_> = rules().into_iter().filter(|rule| !matches!(rule.shape, Shape::Ban)).collect();
    let keys: Vec<_> = (0..rules.len()).map(|place| key(place as u64, "k")).collect();
    let asks: Vec<_> = rules.iter().zip(&keys).map(|(rule, key)| ask(rule, key, 1)).collect();
    // Those that are there still, however long the test takes.
    let verdicts = store.take(&asks, now()).await.expect("an answer").verdicts;
    let minutes = Duration::from_secs(300);
    let stays: Vec<_> = rules.iter().zip(&verdicts).map(|(rule, verdict)| lasts(rule, verdict, minutes)).collect();
    assert!(stays.iter().filter(|stays| **stays).count() >= 4, "the premise: {stays:?}");
    for (counted, steps) in (1..=rules.len()).flat_map(|steps| [(false, steps), (true, steps)]) {
        let () = server.ask(&["FLUSHALL"]).await;
        if counted {
            assert!(store.take(&asks, now()).await.expect("an answer").allowed);
        }
        let (names, args) = store.question(&asks, &[], now(), None, store.shared.holder());
        let told: Result<Vec<i64>, _> = store.redis.script(&cut(&LIMITS_AND_LOGS, steps), &names, &args).await;
        assert_cut(told);
        let lives = server.lives().await;
        assert!(lives.values().all(|left| *left != -1), "after {steps}: {lives:?}");
        // Keys are written in the order in which they are asked for.
        for (name, _) in names.iter().zip(&stays).take(steps).filter(|(_, stays)| **stays) {
            assert!(lives.contains_key(name), "{name} after {steps}: {lives:?}");
        }
        assert!(counted || lives.len() <= steps, "after {steps}: {lives:?}");
    }
}

#[tokio::test]
async fn a_strike_cut_off_after_any_write_leaves_no_key_for_ever() {
    let server = server().await;
    for (limit, steps) in [(5, 1), (1, 1), (1, 2)] {
        let numbers = [limit, 60_000_000, 3_600_000_000].map(Arg::number);
        let args = [Arg::time(None), numbers[0], numbers[1], numbers[2]];
        let told: Result<i64, _> = server.redis.script(&cut(&STRIKE, steps), &["{x}count", "{x}ban"], &args).await;
        assert_cut(told);
        let lives = server.lives().await;
        assert!(!lives.is_empty() && lives.values().all(|left| *left > 0), "{lives:?}");
    }
}

/// Too short a life would forget what was taken; one that is much too long fills the server.
#[tokio::test]
async fn a_key_lives_as_long_as_it_says_anything_and_no_longer() {
    let server = server().await;
    let store = server.gateway();
    for (place, rule) in rules().iter().enumerate().filter(|(_, rule)| !matches!(rule.shape, Shape::Ban)) {
        let key = key(place as u64, "ttl");
        let verdict = store.take(&[ask(rule, &key, 1)], now()).await.expect("an answer").verdicts[0];
        let before: i64 = server.ask(&["PTTL", &store.names.key(rule, &key)]).await;
        let said = i64::try_from(verdict.reset / 1000).expect("small");
        let most = if matches!(rule.shape, Shape::Concurrency { .. }) { 30_000 } else { said } + 5;
        // The time it took to ask.
        let least = most - 5 - 5000;
        assert!((least..=most).contains(&before) || (before == -2 && said < 5000), "{before} ms, {said} of {rule:?}");
    }
}

/// A long log is changed in three steps.
#[tokio::test]
async fn a_long_log_cut_off_after_any_write_lives_no_longer_than_its_window() {
    let server = server().await;
    let store = server.gateway();
    let (rule, key) = (Rule::sliding_window(rate("1000/15m")).expect("a rule"), key(1, "long"));
    for _ in 0..300 {
        assert!(store.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed);
    }
    let name = store.names.key(&rule, &key);
    let size: usize = server.ask(&["STRLEN", &name]).await;
    assert!(size > 3000, "the premise: it is a long one");
    for steps in 1..=3 {
        let (names, args) = store.question(&[ask(&rule, &key, 1)], &[], now(), None, store.shared.holder());
        let told: Result<Vec<i64>, _> = store.redis.script(&cut(&LIMITS_AND_LOGS, steps), &names, &args).await;
        assert_cut(told);
        let left: i64 = server.ask(&["PTTL", &name]).await;
        assert!((800_000..=900_002).contains(&left), "after {steps}: {left}");
    }
    assert!(store.take(&[ask(&rule, &key, 1)], now()).await.expect("it goes on").allowed);
}
