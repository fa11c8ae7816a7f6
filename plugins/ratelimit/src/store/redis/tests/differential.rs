//! The scripts against `algorithm/`, on random arrivals at given times: no difference in any number.

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::algorithm::{Log, SECOND, State};

/// The scripts at given times must not lose keys because of the machine's time.
fn timeless(script: &Script) -> Script {
    replaced(script, "text(ceil(micros / 1000) + 1)", "'1000000'")
}

fn replaced(script: &Script, old: &str, new: &str) -> Script {
    let text = script.text().replace(old, new);
    assert_ne!(text, script.text(), "it was there to be replaced");
    Script::new(&text)
}

/// What `algorithm/` says of all asks together, one after the other.
#[derive(Default, Clone)]
struct Reference {
    cells: HashMap<String, State>,
    logs: HashMap<String, Log>,
}

impl Reference {
    fn take_one(&mut self, name: &str, ask: &Ask<'_>, now: Now) -> (bool, Verdict) {
        if let Shape::Sliding { limit, window } = ask.rule.shape {
            let log = self.logs.entry(name.to_owned()).or_default();
            let mut after = log.clone();
            let said = after.take(limit, window, now, ask.cost);
            // Nothing is written unless something is taken, or mended.
            if said.is_ok() && ask.cost > 0 {
                *log = after;
            }
            return (said.is_ok(), said.unwrap_or_else(|refused| refused));
        }
        let cell = self.cells.entry(name.to_owned()).or_insert(State::FRESH);
        match ask.rule.shape.take(*cell, now, ask.cost) {
            Ok((after, verdict)) => {
                *cell = after;
                (true, verdict)
            }
            Err(verdict) => (false, verdict),
        }
    }

    /// What a clock that was ahead wrote is mended by a refusal.
    fn mend(&mut self, name: &str, ask: &Ask<'_>, now: Now) {
        if let Shape::Sliding { limit, window } = ask.rule.shape {
            let log = self.logs.entry(name.to_owned()).or_default();
            if log.entries().last().is_some_and(|(time, _)| time > now.steady + SECOND) {
                log.look(limit, window, now);
            }
            return;
        }
        let cell = self.cells.entry(name.to_owned()).or_insert(State::FRESH);
        *cell = ask.rule.shape.corrected(*cell, now).unwrap_or(*cell);
    }

    fn take(&mut self, names: &[String], asks: &[Ask<'_>], now: Now) -> (bool, Vec<Verdict>) {
        let mut tried = self.clone();
        let mut said = Vec::new();
        for (name, ask) in names.iter().zip(asks) {
            let untaken = tried.take_one(name, &Ask { cost: 0, ..*ask }, now).1;
            let (fits, verdict) = tried.take_one(name, ask, now);
            said.push((fits, verdict, untaken));
        }
        let allowed = said.iter().zip(asks).all(|((fits, ..), ask)| *fits || ask.shadow);
        if allowed {
            *self = tried;
        }
        for ((name, ask), _) in names.iter().zip(asks).zip(&said).filter(|(_, (fits, ..))| !fits) {
            self.mend(name, ask, now);
        }
        // What would have been allowed, but was not because of another, is as it was before.
        let verdict = |(fits, verdict, untaken): (bool, _, _)| if allowed || !fits { verdict } else { untaken };
        (allowed, said.into_iter().map(verdict).collect())
    }

    fn charge(&mut self, name: &str, rule: &Rule, now: Now, units: i64, taken_at: Option<Now>) {
        if units == 0 {
            return;
        }
        if let Shape::Sliding { limit, window } = rule.shape {
            self.logs.entry(name.to_owned()).or_default().charge(limit, window, now, units);
            return;
        }
        let cell = self.cells.entry(name.to_owned()).or_insert(State::FRESH);
        *cell = match taken_at {
            Some(at) => rule.shape.undo(*cell, now, at, units.unsigned_abs()),
            None => rule.shape.charge(*cell, now, units),
        };
        // A key without anything in it is removed there, and its time with it.
        if cell.amount == 0 {
            *cell = State::FRESH;
        }
    }
}

/// Arrivals close to each other and far apart, clocks that jump back a little and a lot, and a year ahead.
fn later(random: &mut SmallRng, now: Micros, jumps: bool) -> Micros {
    match random.random_range(0..100) {
        0 if jumps => now.saturating_sub(random.random_range(0..3 * SECOND)),
        1 if jumps => now.saturating_sub(random.random_range(0..86_400 * SECOND)),
        2 if jumps && random.random_ratio(1, 20) => now + 365 * 86_400 * SECOND,
        3..10 => now,
        10..40 => now + random.random_range(0..1000),
        40..90 => now + random.random_range(0..SECOND / 2),
        90..98 => now + random.random_range(0..60 * SECOND),
        _ => now + random.random_range(0..3 * 3600 * SECOND),
    }
}

struct Trace {
    store: RedisStore,
    script: Script,
    reference: Reference,
    random: SmallRng,
    now: Micros,
    took: Option<(usize, u64, Micros)>,
}

impl Trace {
    fn new(server: &Server, seed: u64) -> Self {
        let random = SmallRng::seed_from_u64(seed);
        let (store, script) = (server.gateway(), timeless(&LIMITS_AND_LOGS));
        Self { store, script, reference: Reference::default(), random, now: 1_700_000_000 * SECOND, took: None }
    }

    fn now(&self) -> Now {
        Now { steady: self.now, wall: self.now }
    }

    async fn take(&mut self, asks: &[Ask<'_>]) -> bool {
        let now = self.now();
        let holder = Holder { gateway: 7, epoch: 0, lease: 1 << 51 };
        let (names, args) = self.store.question(asks, &[], now, Some(self.now), holder);
        let numbers: Vec<i64> = self.store.redis.script(&self.script, &names, &args).await.expect("an answer");
        let answer = Answer::read(&numbers, asks.len()).expect("sense");
        let taken = answer.taken(asks, now);
        let (allowed, verdicts) = self.reference.take(&names, asks, now);
        assert_eq!(taken.verdicts.as_slice(), verdicts.as_slice(), "at {now:?}, {asks:?}, {numbers:?}");
        assert_eq!(taken.allowed, allowed);
        allowed
    }

    async fn charge(&mut self, rule: &Rule, key: &Key, units: i64, taken_at: Option<Micros>) {
        let now = self.now();
        let holder = Holder { gateway: 7, epoch: 0, lease: 1 << 51 };
        let name = self.store.names.key(rule, key);
        let mut args = vec![Arg::number(self.now), Arg::Text("charge")];
        let third = taken_at.map_or(-1, |at| i64::try_from(at).expect("small"));
        push_limit(&mut args, rule, units, third, false, now, holder);
        let _: Vec<i64> = self.store.redis.script(&self.script, &[&name], &args).await.expect("an answer");
        self.reference.charge(&name, rule, now, units, taken_at.map(|at| Now { steady: at, wall: at }));
    }
}

const STEPS: usize = 1500;

/// Each rule by itself: takes of all costs, charges, debts, gifts and undos.
#[tokio::test]
async fn one_limit_counts_as_it_does_in_memory() {
    let server = server().await;
    for (place, rule) in rules().iter().enumerate() {
        let mut trace = Trace::new(&server, place as u64);
        let keys = [key(place as u64, "a"), key(place as u64, "b")];
        let jumps = !matches!(rule.shape, Shape::Calendar(_));
        let mut allowed = [0; 2];
        for _ in 0..STEPS {
            trace.now = later(&mut trace.random, trace.now, jumps);
            let which = trace.random.random_range(0..keys.len());
            let units = trace.random.random_range(-5..6);
            match trace.random.random_range(0..20) {
                0 if matches!(rule.shape, Shape::Concurrency { .. }) => {
                    trace.charge(rule, &keys[which], -1, None).await;
                }
                0 => trace.charge(rule, &keys[which], units, None).await,
                1 if matches!(rule.shape, Shape::Ban) => {
                    trace.charge(rule, &keys[which], units * 1_000_000, None).await;
                }
                1 if matches!(rule.shape, Shape::Concurrency { .. } | Shape::Sliding { .. }) => {}
                1 => {
                    if let Some((which, cost, at)) = trace.took {
                        let units = i64::try_from(cost).expect("small");
                        trace.charge(rule, &keys[which], -units, Some(at)).await;
                    }
                }
                _ => {
                    let cost = [0, 1, 1, 1, 1, 2, 3, 4][trace.random.random_range(0..8)];
                    let took = trace.take(&[ask(rule, &keys[which], cost)]).await;
                    allowed[usize::from(took)] += 1;
                    trace.took = (took && cost > 0).then_some((which, cost, trace.now)).or(trace.took);
                }
            }
        }
        assert!(allowed[0] > 10 || matches!(rule.shape, Shape::Bucket(_)), "some are refused: {allowed:?} of {rule:?}");
        assert!(allowed[1] > 10, "some are allowed: {allowed:?} of {rule:?}");
    }
}

/// Several at once, shadows among them, of several kinds, also the same one twice: all or nothing.
#[tokio::test]
async fn several_limits_are_taken_from_together_or_not_at_all() {
    let server = server().await;
    let rules = rules();
    let mut trace = Trace::new(&server, 99);
    let mut allowed = [0; 2];
    for _ in 0..6 * STEPS {
        trace.now = later(&mut trace.random, trace.now, false);
        let chosen: Vec<_> = (0..trace.random.random_range(1..6))
            .map(|_| {
                let place = trace.random.random_range(0..rules.len());
                (place, key(place as u64, ["a", "b"][trace.random.random_range(0..2)]), trace.random.random_range(0..3))
            })
            .collect();
        let shadow: Vec<bool> = chosen.iter().map(|_| trace.random.random_ratio(1, 5)).collect();
        let asks: Vec<_> = chosen
            .iter()
            .zip(&shadow)
            .map(|((place, key, cost), shadow)| Ask { shadow: *shadow, ..ask(&rules[*place], key, *cost) })
            .collect();
        allowed[usize::from(trace.take(&asks).await)] += 1;
        if trace.random.random_ratio(1, 10) {
            // Requests end.
            for (place, key, _) in chosen.iter().filter(|(place, ..)| rules[*place].window == 0) {
                if matches!(rules[*place].shape, Shape::Concurrency { .. }) {
                    trace.charge(&rules[*place], key, -3, None).await;
                }
            }
        }
    }
    assert!(allowed.iter().all(|count| *count > 100), "{allowed:?}");
}

/// The largest numbers there are.
#[tokio::test]
async fn the_edges_of_the_arithmetic_are_the_same() {
    let server = server().await;
    let mut trace = Trace::new(&server, 1);
    let big = Rule::token_bucket(4_000_000_000, rate("1000000/s"), Duration::ZERO).expect("a rule");
    let wide = Rule::fixed_window(rate("1000000000/365d")).expect("a rule");
    for (place, rule) in [&big, &wide].into_iter().enumerate() {
        let key = key(place as u64, "edge");
        for cost in [u64::MAX >> 1, 1 << 53, 3_999_999_999, 1, 1, 0, 1 << 60] {
            trace.take(&[ask(rule, &key, cost)]).await;
        }
        for units in [i64::MAX, 5, -7, i64::MIN + 1, 1 << 53, 1 << 53, -(1 << 52)] {
            trace.charge(rule, &key, units, None).await;
            trace.take(&[ask(rule, &key, 1)]).await;
            trace.now += 1;
        }
    }
}

/// A window has begun when the server's clock says so, for gateways before and behind it.
#[tokio::test]
async fn a_calendar_s_window_is_one_for_gateways_whose_clocks_differ() {
    const DAY: Micros = 86_400 * SECOND;
    let server = server().await;
    let store = server.gateway();
    let midnight = 20_000 * DAY;
    for (name, server_at, early) in [("early", midnight - 3 * SECOND, 5), ("late", midnight + SECOND, 3)] {
        let rule = Rule::calendar(10, Period::Day, TimeZone::UTC).expect("a rule");
        let key = key(1, name);
        let mut admitted = 0;
        for turn in 0..40 {
            // Gateways on both sides of midnight, as their clocks say.
            let wall = if turn % 2 == 0 { server_at - early * SECOND } else { server_at + early * SECOND };
            let asks = [ask(&rule, &key, 1)];
            let answer =
                store.ask(&asks, &[], Now { steady: 0, wall }, Some(server_at + turn)).await.expect("an answer");
            let taken = answer.taken(&asks, Now { steady: 0, wall });
            assert_eq!(taken.allowed, taken.verdicts[0].allowed);
            admitted += u64::from(taken.allowed);
        }
        assert_eq!(admitted, 10, "{name}");
    }
}

/// Long logs are not read as a whole; here, all but the empty ones are long.
#[tokio::test]
async fn a_long_sliding_window_counts_as_a_short_one() {
    let server = server().await;
    let rules = [("10/s", 0, 3), ("200/m", 1, 3), ("3/h", 2, 4), ("1000/5m", 3, 4)];
    for (text, place, most) in rules {
        let rule = Rule::sliding_window(rate(text)).expect("a rule");
        let mut trace = Trace::new(&server, 7 + place);
        trace.script = replaced(&trace.script, "local HEAD, SHORT = 24, 1536", "local HEAD, SHORT = 24, 36");
        let key = key(place, "long");
        let mut allowed = [0; 2];
        for _ in 0..2 * STEPS {
            trace.now = later(&mut trace.random, trace.now, true);
            if trace.random.random_ratio(1, 30) {
                let units = trace.random.random_range(-5..6);
                trace.charge(&rule, &key, units, None).await;
            }
            let cost = trace.random.random_range(0..most);
            allowed[usize::from(trace.take(&[ask(&rule, &key, cost)]).await)] += 1;
        }
        assert!(allowed[1] > 100, "{allowed:?} of {text}");
        let long: u64 = server.server.calls("append").await + server.server.calls("setrange").await;
        assert!(long > 50, "the premise: they were changed in place ({long})");
    }
}
