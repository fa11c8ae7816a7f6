//! What can't work, word for word.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::config::RawConfig;

use super::*;

#[test]
fn everything_that_does_not_fit_is_refused_word_for_word() {
    for (limit, errors) in [
        (
            json!({}),
            ": the limit does not say how much\nhelp: write rate: 100/15m, or `capacity` and `refill`, a `quota`, or `plans`",
        ),
        (
            json!({ "rate": "1/s", "quota": "1/day" }),
            ".quota: `rate` and `quota` both say how much\nhelp: keep one of them",
        ),
        (
            json!({ "capacity": 5 }),
            ": `capacity` needs `refill`\nhelp: write how fast it fills again: refill: 10/s; or rate: 100/15m",
        ),
        (
            json!({ "refill": "5/s" }),
            ": `refill` needs `capacity`\nhelp: write how many at once: capacity: 100; or rate: 100/15m",
        ),
        (
            json!({ "capacity": 0, "refill": "5/s" }),
            ".capacity: capacity is 0, so that nothing could ever pass\nhelp: write at least 1, or leave the limit out",
        ),
        (
            json!({ "rate": "1/s", "queue": 5 }),
            ".queue: `queue` does not fit a token_bucket\nhelp: leave it out, or write algorithm: leaky_bucket",
        ),
        (
            json!({ "rate": "1/s", "limit": 5 }),
            ".limit: `limit` does not fit a token_bucket\nhelp: write rate: 100/15m, or algorithm: concurrency",
        ),
        (
            json!({ "rate": "1/s", "algorithm": "fixed_window", "delay": "1s" }),
            ".delay: `delay` does not fit a fixed_window\nhelp: only a token_bucket can hold requests back",
        ),
        (
            json!({ "quota": "1/day", "delay": "1s" }),
            ".delay: `delay` does not fit a quota\nhelp: only a token_bucket can hold requests back",
        ),
        (json!({ "rate": "1/s", "delay": "0s" }), ".delay: a delay of zero holds nothing back\nhelp: leave it out"),
        (
            json!({ "rate": "1/s", "delay": "6m" }),
            ".delay: 6m is longer than a request may be held back\nhelp: write 5m or less",
        ),
        (
            json!({ "rate": "1/s", "algorithm": "leaky_bucket" }),
            ": a leaky_bucket needs `queue`\nhelp: write how many may wait for their turn: queue: 20",
        ),
        (
            json!({ "rate": "1/m", "algorithm": "leaky_bucket", "queue": 1000 }),
            ".rate: the last of 1000 in the queue would wait 16h40m\nhelp: write a shorter queue or a faster rate, so that none waits longer than 5m",
        ),
        (
            json!({ "algorithm": "concurrency" }),
            ": a concurrency limit needs `limit`\nhelp: write how many at the same time: limit: 50",
        ),
        (
            json!({ "algorithm": "concurrency", "limit": 5, "rate": "1/s" }),
            ".rate: `rate` does not fit concurrency\nhelp: leave it out: a concurrency limit has `limit`",
        ),
        (
            json!({ "algorithm": "concurrency", "limit": 0 }),
            ".limit: the limit is 0, so that nothing could ever pass\nhelp: write at least 1, or leave the limit out",
        ),
        (
            json!({ "algorithm": "concurrency", "limit": 5, "cost": { "body": "1KiB" } }),
            ".cost: what is in flight is given back at the end, so it can't be charged then\nhelp: write a number, or a cost by method",
        ),
        (
            json!({ "quota": "1/day", "algorithm": "fixed_window" }),
            ".quota: `quota` does not fit a fixed_window\nhelp: leave `algorithm` out, or write a rate",
        ),
        (
            json!({ "rate": "1/s", "time_zone": "UTC" }),
            ".time_zone: `time_zone` is for a quota of the calendar\nhelp: write a `quota`, or leave it out",
        ),
        (
            json!({ "rate": "10001/s", "algorithm": "sliding_window" }),
            ".rate: a sliding_window remembers every request, so that its limit is at most 10000 and not 10001\nhelp: use token_bucket or fixed_window",
        ),
        (
            json!({ "rate": "1/40000d", "algorithm": "fixed_window" }),
            ".rate: a time of 40000 days is too long to be counted, it can be at most 26062 days\nhelp: write a shorter one",
        ),
        (
            json!({ "rate": "5/15m", "cost": 10 }),
            ".cost: a request can cost 10, and the limit never has room for more than 5\nhelp: raise the limit to at least 10, or lower the cost",
        ),
        (
            json!({ "rate": "5/15m", "cost": 0 }),
            ".cost: a cost of 0 never counts\nhelp: write at least 1, or leave the limit out",
        ),
        (
            json!({ "rate": "1/s", "plan": "claim.plan" }),
            ".plan: `plan` is for `plans`\nhelp: write `plans`, or leave it out",
        ),
        (
            json!({ "rate": "1/s", "at_most": "1/s" }),
            ".at_most: `at_most` is for `rate_from`\nhelp: write `rate_from`, or leave it out",
        ),
        (
            json!({ "rate_from": "claim.rate" }),
            ": `rate_from` needs `rate`\nhelp: write the rate of who has no such claim: rate: 10/m",
        ),
        (
            json!({ "plans": { "free": "1/s", "pro": "2/s" }, "plan": "claim.plan", "otherwise": "fre" }),
            ".otherwise: no plan is called `fre`\nhelp: plans are: free, pro",
        ),
        (
            json!({ "plans": { "free": "10001/s" }, "plan": "claim.plan", "otherwise": "free", "algorithm": "sliding_window" }),
            ".plans.free: a sliding_window remembers every request, so that its limit is at most 10000 and not 10001\nhelp: use token_bucket or fixed_window",
        ),
        (
            json!({ "rate": "1/s", "per": ["client", "client"] }),
            ".per: `client` is in the list twice\nhelp: keep one of the two",
        ),
        (
            json!({ "rate": "1/s", "per": "param.user" }),
            ".per: the route has no path parameter `user`\nhelp: the path of this route has: project",
        ),
        (
            json!({ "rate": "1/s", "name": "a b" }),
            ".name: \"a b\" is not a name for a limit\nhelp: write 1 to 64 letters, digits, `.`, `_`, `-` or `+`",
        ),
    ] {
        let mut limit = limit;
        if limit.get("per").is_none() {
            limit["per"] = json!("client");
        }
        assert_eq!(refused(limit.clone()), format!("limits[0]{errors}"), "{limit}");
    }
}

#[test]
fn every_fault_is_reported_at_once() {
    let limit = json!({
        "per": ["param.a", "param.b"], "plans": { "a": "1/40000d" }, "algorithm": "fixed_window", "queue": 1, "cost": 0,
    });
    let errors = built_with(json!({}), json!({ "use": ["gone"], "limits": [limit, { "per": "client" }] }));
    let errors: Vec<_> = errors.expect_err("wrong").iter().map(|error| error.path.to_string()).collect();
    let first = ["use[0]", "limits[0].per", "limits[0].per", "limits[0].cost", "limits[0].queue", "limits[0].plans.a"];
    let rest = ["limits[0]", "limits[0]", "limits[1]"];
    assert_eq!(errors, [&first[..], &rest[..]].concat());
}

#[test]
fn overflows_are_refused_and_never_panic() {
    for limit in [
        json!({ "capacity": u64::MAX, "refill": "1/s" }),
        json!({ "capacity": 5, "refill": "1/18446744073709551s" }),
        json!({ "rate": "18446744073709551615/s" }),
        json!({ "rate": "18446744073709551615/ns", "algorithm": "fixed_window" }),
        json!({ "rate": "1/s", "algorithm": "leaky_bucket", "queue": u64::MAX }),
        json!({ "rate": "7919/1000000000000000ns", "delay": "5m" }),
        json!({ "quota": "18446744073709551615/day" }),
        json!({ "algorithm": "concurrency", "limit": u64::MAX }),
        json!({ "rate": "5/s", "cost": u64::MAX }),
    ] {
        let mut limit = limit;
        limit["per"] = json!("client");
        let result = built_with(json!({}), json!({ "limits": [limit.clone()] }));
        if let Err(errors) = result {
            assert!(errors.iter().all(|error| error.help.is_some()), "{limit}: {errors}");
        }
    }
    assert!(
        refused(json!({ "per": "client", "algorithm": "concurrency", "limit": u64::MAX })).contains("can be at most")
    );
}

#[test]
fn what_is_wrong_with_use_is_refused_word_for_word() {
    let limits = json!({ "limits": { "general": { "rate": "1/s", "per": "client" }, "who": { "rate": "1/s", "per": "param.who" } } });
    for (config, asked, message) in [
        (
            json!({}),
            json!({ "use": ["general"] }),
            "use[0]: the section has no limit `general`\nhelp: add it: ratelimit: { limits: { general: { rate: 100/15m, per: client } } }",
        ),
        (
            limits.clone(),
            json!({ "use": ["genral"] }),
            "use[0]: the section has no limit `genral`\nhelp: ratelimit.limits has: general, who",
        ),
        (
            limits.clone(),
            json!({ "use": ["general", "general"] }),
            "use[1]: `general` is used twice\nhelp: keep one of the two",
        ),
        (
            limits.clone(),
            json!({ "use": ["who"] }),
            "use[0]: the route has no path parameter `who`\nhelp: the path of this route has: project",
        ),
        (
            limits.clone(),
            json!({ "use": ["general"], "limits": [{ "rate": "1/s", "per": "client", "name": "general" }] }),
            "limits[0].name: there is another limit `general` on this route\nhelp: give each a name of its own",
        ),
        (
            limits,
            json!({ "use": ["general"], "store": "shared" }),
            "store: `general` is counted in `memory` with the other routes that use it, not in `shared`\nhelp: leave `store` out, or give the route a limit of its own",
        ),
    ] {
        assert_eq!(built_with(config, asked.clone()).expect_err("wrong").to_string(), message, "{asked}");
    }
    let many = vec![json!({ "rate": "1/s", "per": "client" }); 17];
    let errors = built_with(json!({}), json!({ "limits": many })).expect_err("too many").to_string();
    assert_eq!(errors, "limits: 17 limits on one route\nhelp: write at most 16");
}

#[test]
fn what_is_wrong_with_the_section_is_refused_word_for_word() {
    for (config, message) in [
        (
            json!({ "client": { "ipv4": 0, "ipv6": 129 } }),
            "client.ipv4: 0 bits of an address can't be counted by\nhelp: write 1 to 32\nclient.ipv6: 129 bits of an address can't be counted by\nhelp: write 1 to 128",
        ),
        (
            json!({ "prefix": "a{b}" }),
            "prefix: the prefix can't be the beginning of a key\nhelp: write 1 to 64 letters, digits and signs, without spaces and braces: rl:",
        ),
        (json!({ "memory": { "size": "1KiB" } }), "memory.size: too small to count in\nhelp: write at least 64KiB"),
        (json!({ "memory": { "every": "10ms" } }), "memory.every: too often to write a file\nhelp: write at least 1s"),
        (
            json!({ "consistency": { "leased": {} } }),
            "consistency.leased: the memory store counts exactly as it is\nhelp: leave it out, or name a shared `store`",
        ),
        (
            json!({ "store": "s", "consistency": { "leased": { "batch": "0%", "for": "2m" } } }),
            "consistency.leased.batch: a batch of nothing\nhelp: write a share such as 1%\nconsistency.leased.for: a lease of this length\nhelp: write 100ms to 1m",
        ),
        (
            json!({ "limits": { "a b": { "rate": "1/s", "per": "client" } } }),
            "limits.\"a b\": \"a b\" is not a name for a limit\nhelp: write 1 to 64 letters, digits, `.`, `_`, `-` or `+`",
        ),
        (
            json!({ "limits": { "a": { "rate": "1/s", "per": "client", "name": "b" } } }),
            "limits.a.name: the limit's name is `a` already\nhelp: leave it out",
        ),
        (
            json!({ "ban": { "count": 0, "window": "1m", "for": "1h", "status": [401] } }),
            "ban.count: it is zero\nhelp: write how many are too many: count: 20",
        ),
        (
            json!({ "ban": { "count": 5, "window": "0s", "for": "1h", "status": [401] } }),
            "ban.window: it is zero\nhelp: write the time in which they are counted: window: 10m",
        ),
        (
            json!({ "ban": { "count": 5, "window": "1m", "for": "0s" } }),
            "ban: nothing would ever get a client banned\nhelp: write status: [401, 403], or codes of the gateway's own answers\nban.for: nobody can be banned for 0s\nhelp: write a time such as 1h",
        ),
        (
            json!({ "ban": { "count": 5, "window": "1m", "for": "1h", "status": [200], "codes": ["Too Many"] } }),
            "ban.status[0]: 200 is not the status of an error\nhelp: write 400 to 599\nban.codes[0]: \"Too Many\" is not the code of an answer\nhelp: write a code as answers have it: too_many_requests",
        ),
    ] {
        assert_eq!(Shared::build(&section(config.clone())).expect_err("wrong").to_string(), message, "{config}");
    }
}

#[test]
fn the_whole_configuration_is_read_from_what_the_file_holds() {
    use tidegate_core::config::Value as Raw;
    let text = |text: &str| Raw::from(text);
    let limit = Raw::map([("rate", text("100/15m")), ("per", text("ip"))]);
    let section = Raw::map([
        ("store", text("shared")),
        ("consistency", Raw::map([("leased", Raw::map([("batch", text("2%"))]))])),
        ("fields", text("draft-03")),
        ("exempt", Raw::from(vec![text("10.0.0.1/8")])),
        ("limits", Raw::map([("general", limit)])),
    ]);
    let errors = RawConfig::new(section, "ratelimit").read::<Config>().expect_err("two slips").to_string();
    let starts: Vec<_> = errors.lines().filter(|line| !line.starts_with("help")).collect();
    assert_eq!(
        starts,
        ["ratelimit.exempt[0]: `10.0.0.1/8` has bits beyond its /8", "ratelimit.limits.general.per: unknown key `ip`"]
    );
    let leased = RawConfig::new(Raw::map([("consistency", text("leased"))]), "ratelimit").read::<Config>();
    assert_eq!(
        leased.expect_err("no value").to_string(),
        "ratelimit.consistency: `leased` needs a value\nhelp: write `leased: …`"
    );
    let cost = Raw::map([("per", text("client")), ("rate", text("9/s")), ("cost", Raw::from(vec![]))]);
    let errors = RawConfig::new(cost, "limits[0]").read::<config::Limit>().expect_err("a list");
    assert_eq!(errors.to_string(), "limits[0].cost: expected a whole number or a map, found a list");
}

proptest! {
    #[test]
    fn no_limit_panics(
        amount in any::<u64>(),
        time in 0_u64..,
        unit in prop_oneof!["ns", "us", "ms", "s", "m", "h", "d"],
        algorithm in prop_oneof!["token_bucket", "sliding_window", "fixed_window", "leaky_bucket", "concurrency"],
        queue in proptest::option::of(any::<u64>()),
        capacity in proptest::option::of(any::<u64>()),
        cost in any::<u64>(),
        delay in proptest::option::of("[0-9]{1,6}(ms|s|d)"),
    ) {
        let mut limit = json!({ "per": "client", "algorithm": algorithm, "cost": cost });
        let rate = format!("{amount}/{time}{unit}");
        for (key, value) in [("queue", queue.map(Value::from)), ("capacity", capacity.map(Value::from)), ("delay", delay.map(Value::from))] {
            if let Some(value) = value {
                limit[key] = value;
            }
        }
        limit[if capacity.is_some() { "refill" } else { "rate" }] = json!(rate);
        if let Ok(asked) = serde_json::from_value::<Policy>(json!({ "limits": [limit] })) {
            let shared = Shared::build(&Config::default()).expect("valid");
            let _ = Limits::build(&asked, &shared, &route());
        }
    }
}
