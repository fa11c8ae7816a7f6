//! YAML in, HTTP out.

mod bypass;
mod changes;
mod refusals;
mod serving;

use tidegate_routing::Routing;
use tidegate_testkit::{Script, TestGateway, Upstream, gateway, upstream};

/// An upstream that says `name` to everything.
async fn named(name: &'static str) -> Upstream {
    upstream().route("*", Script::reply(name)).start().await
}

/// A gateway with these upstreams and a `routing` section, given by its lines.
async fn started(upstreams: &[(&str, &Upstream)], routing: &str) -> TestGateway {
    gateway().router::<Routing>().start(&file(upstreams, routing)).await
}

fn file(upstreams: &[(&str, &Upstream)], routing: &str) -> String {
    let mut file = String::from("routing:\n");
    file.extend(routing.lines().map(|line| format!("  {line}\n")));
    if !upstreams.is_empty() {
        file += "upstreams:\n";
    }
    file.extend(upstreams.iter().map(|(name, at)| format!("  {name}: {{ targets: [\"{}\"] }}\n", at.target())));
    file
}
