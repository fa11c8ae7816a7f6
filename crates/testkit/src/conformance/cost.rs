//! What a plugin costs where it isn't used.

use tidegate_core::Plugin;
use tokio::runtime::Runtime;

use crate::{Client, GatewayBuilder, Script, TestGateway, allocations, gateway, upstream};

/// Rounds are repeated because a table grows now and then; the smallest is what requests cost.
const ROUNDS: usize = 8;
/// Wakeups don't always come in the same order, which is worth a handful of allocations a round; one for each request
/// would be this many.
const REQUESTS: u64 = 64;

/// Panics if a request of a route that doesn't use the plugin makes more allocations than in a gateway without it.
pub fn route_without_it_pays_nothing<P: Plugin>(section: &str) {
    let without = allocations_of(gateway(), "");
    let with = allocations_of(gateway().plugin::<P>(), &format!("{}: {section}\n", P::NAME));
    assert!(
        with < without + REQUESTS,
        "{REQUESTS} requests of a route without `{}` make {with} allocations, and {without} in a gateway without it",
        P::NAME
    );
}

/// Client, gateway and upstream share one thread, so that its counter sees all.
fn allocations_of(gateway: GatewayBuilder, section: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (upstream, gateway) = runtime.block_on(async {
        let upstream = upstream().route("/", Script::reply("hello")).start().await;
        let yaml = format!(
            "{section}upstreams: {{ users: {{ targets: [\"{}\"] }} }}\naccess_log: {{ to: {{ file: /dev/null }} }}\n\
             routing: {{ routes: [{{ name: users, upstream: users }}] }}\n",
            upstream.target()
        );
        (upstream, gateway.start(&yaml).await)
    });
    let least = rounds(&runtime, &gateway);
    drop((upstream, gateway));
    least
}

fn rounds(runtime: &Runtime, gateway: &TestGateway) -> u64 {
    let mut client = runtime.block_on(gateway.connect());
    let mut round = || allocations(|| runtime.block_on(requests(&mut client)));
    round();
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

async fn requests(client: &mut Client) {
    for _ in 0..REQUESTS {
        client.get("/").await.expect(200);
    }
}
