//! What can't work is refused at load, with its place.

use super::*;

#[test]
fn each_mistake_is_refused_with_its_place_and_remedy() {
    for (limits, section, place, message) in [
        ("{ rate: 0/s, per: client }", "", "limits[0].rate", "zero"),
        ("{ capacity: 5, refill: 10/s, cost: 10, per: client }", "", "limits[0].cost", "10"),
        ("{ rate: 1/400000000d, per: client }", "", "limits[0].rate", "long"),
        ("{ rate: 9007199254740993/s, per: client }", "", "limits[0].rate", "9007199254740993"),
        ("{ rate: 20000/h, algorithm: sliding_window, per: client }", "", "limits[0]", "10"),
        ("{ rate: 10/s }", "", "limits[0]", "per"),
        ("{ rate: 10/s, per: clinet }", "", "limits[0].per", "client"),
        ("{ rate: 10/s, per: param.nope }", "", "limits[0].per", "nope"),
        ("{ per: client }", "", "limits[0]", "rate"),
        ("{ rate: 10/s, per: client, delay: 1s, algorithm: fixed_window }", "", "limits[0].delay", "fixed_window"),
        ("{ quota: 10/day, per: client, time_zone: Mars/Olympus }", "", "limits[0].time_zone", "Mars/Olympus"),
        ("{ per: identity, plans: { free: 1/m } }", "", "limits[0]", "otherwise"),
        ("{ name: a, rate: 1/s, per: client }, { name: a, rate: 2/s, per: client }", "", "limits[1].name", "a"),
        ("{ rate: 1/s, per: client }", "store: nowhere", "ratelimit.store", "nowhere"),
        (
            "{ rate: 1/s, per: client }",
            "ban: { status: [401], count: 0, window: 1m, for: 1m }",
            "ratelimit.ban.count",
            "0",
        ),
        ("{ rate: 1/s, per: client }", "memory: { size: 1B }", "ratelimit.memory.size", "too small"),
    ] {
        let error = builder().check(&limited(limits, section)).expect_err(limits);
        assert!(error.contains(place), "{limits} {section}: no `{place}` in\n{error}");
        assert!(error.contains(message), "{limits} {section}: no `{message}` in\n{error}");
        assert!(error.contains("config.yaml:"), "{error}");
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let error =
        builder().check(&limited("{ rate: 1/s, per: nobody }, { rate: 0/s, per: client }", "")).expect_err("bad");
    for place in ["limits[0].per", "limits[1].rate"] {
        assert!(error.contains(place), "no {place} in\n{error}");
    }
}

#[test]
fn a_limit_that_is_not_there_can_not_be_used() {
    let yaml = "ratelimit: { limits: { general: { rate: 1/s, per: client } } }
routing: { routes: [{ name: a, reply: { body: a }, plugins: { ratelimit: { use: [generel] } } }] }";
    let error = builder().check(yaml).expect_err("refused");
    assert!(error.contains("plugins.ratelimit.use[0]") && error.contains("general"), "{error}");
}
