//! Servers come, go and move while requests are under way, and none of these fails (A20, A24, A25, B9).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::Method;
use tidegate_testkit::{
    Answer, Client, Script, TestGateway, Upstream, call, gate, load, name_server, upstream, wait_until,
    wait_until_async,
};

use crate::balancing::until_usable;
use crate::tidegate;

const CLIENTS: usize = 3;

fn yaml(upstream: &str) -> String {
    format!("upstreams: {{ app: {{ {upstream} }} }}\nrouting: {{ routes: [{{ name: all, upstream: app }}] }}\n")
}

async fn replying(body: &'static str) -> Upstream {
    upstream().reply("*", body).start().await
}

/// Two servers on one port, each at an address of its own.
async fn twins() -> (Upstream, Upstream) {
    let first = upstream().reply("*", "old").start().await;
    let second = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), first.addr().port()));
    (first, upstream().reply("*", "new").at(second).start().await)
}

fn address(of: &Upstream) -> IpAddr {
    of.addr().ip()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moves_takes_requests_with_it_within_its_ttl_and_none_fails() {
    let (old, new) = twins().await;
    let names = name_server().await;
    names.addresses("app.test", [address(&old)], 1);
    let target = format!("app.test:{}", old.addr().port());
    let resolve = format!("resolve: {{ nameserver: \"{}\", min: 10ms, timeout: 20s }}", names.addr());
    let gateway = tidegate().start(&yaml(&format!("targets: [\"{target}\"], {resolve}"))).await;
    let load = load(gateway.addr(), "/", CLIENTS);
    assert_eq!(load.next(50).await.keys().collect::<Vec<_>>(), ["old"]);

    names.addresses("app.test", [address(&new)], 1);
    let moved = std::time::Instant::now();
    wait_until("the new server to have a request", || !new.requests().is_empty()).await;
    // Its TTL, and what a busy machine needs.
    assert!(moved.elapsed() < std::time::Duration::from_secs(15), "{:?}", moved.elapsed());
    assert_eq!(load.next(100).await.keys().collect::<Vec<_>>(), ["new"]);

    // Gone from the name server, not from the world.
    names.no_such_name("app.test");
    let asked = names.questions("app.test");
    wait_until("the name server to be asked again", || names.questions("app.test") > asked).await;
    assert_eq!(load.next(100).await.keys().collect::<Vec<_>>(), ["new"]);
    load.finish().await;
}

#[tokio::test]
async fn a_thousand_requests_are_one_question_to_the_name_server() {
    let app = replying("ok").await;
    let names = name_server().await;
    names.addresses("app.test", [address(&app)], 300);
    let target = format!("app.test:{}", app.addr().port());
    let resolve = format!("resolve: {{ nameserver: \"{}\", addresses: ipv4, timeout: 20s }}", names.addr());
    let gateway = tidegate().start(&yaml(&format!("targets: [\"{target}\"], {resolve}"))).await;
    let load = load(gateway.addr(), "/", CLIENTS);
    load.next(50).await;
    // One that has no answer within 333 ms is repeated, up to twice; later ones would be another question.
    let asked = names.questions("app.test");
    assert!((1..=3).contains(&asked), "{asked} questions");
    load.next(1_000).await;
    load.finish().await;
    assert_eq!(names.questions("app.test"), asked);
}

/// Writes the file as those who write such files do: a new one, renamed over the old one.
fn write_list(path: &std::path::Path, targets: &[&Upstream]) {
    let list: Vec<String> = targets.iter().map(|target| target.target()).collect();
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_string(&list).expect("a list")).expect("the list is written");
    std::fs::rename(new, path).expect("the list is replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_added_and_removed_by_a_file_under_load_and_no_request_fails() {
    let [a, b, c] = [replying("a").await, replying("b").await, replying("c").await];
    let dir = tempfile::tempdir().expect("a directory");
    let list = dir.path().join("targets.json");
    write_list(&list, &[&a, &b]);
    let gateway = tidegate().start(&yaml(&format!("discovery: [{{ type: file, path: {list:?} }}]"))).await;
    let load = load(gateway.addr(), "/", CLIENTS);
    assert_eq!(load.next(100).await.keys().collect::<Vec<_>>(), ["a", "b"]);

    write_list(&list, &[&a, &b, &c]);
    wait_until("the third server to have a request", || !c.requests().is_empty()).await;
    write_list(&list, &[&c]);
    let only_c = async || {
        let answers = load.next(30).await;
        answers.len() == 1 && answers.contains_key("c")
    };
    wait_until_async("the first two to have none", only_c).await;
    // A list that can't be read changes nothing.
    std::fs::write(&list, "[\"no port\"]").expect("the list is written");
    let failures =
        async || gateway.metric("tidegate_upstream_discovery_failures_total", &[("upstream", "app")]).await >= 1.0;
    wait_until_async("the bad list to be seen", failures).await;
    assert_eq!(load.next(50).await.keys().collect::<Vec<_>>(), ["c"]);
    load.finish().await;
}

async fn operator(gateway: &TestGateway, method: Method, path: &str, body: &str) -> Answer {
    let request = call(method, path);
    let request = match body {
        "" => request,
        _ => request.header("Content-Type", "application/json").body(body.to_owned()),
    };
    Client::connect(gateway.admin_addr()).await.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_swaps_the_targets_under_load_and_no_request_fails() {
    let [old, new] = [replying("old").await, replying("new").await];
    let gateway = tidegate().start(&yaml(&format!("targets: [\"{}\"]", old.target()))).await;
    let load = load(gateway.addr(), "/", CLIENTS);
    for turn in 0..10 {
        let (name, target) = if turn % 2 == 0 { ("new", new.target()) } else { ("old", old.target()) };
        let answer = operator(&gateway, Method::PUT, "/upstreams/app/targets", &format!("[\"{target}\"]")).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
        assert_eq!(load.next(50).await.keys().collect::<Vec<_>>(), [name]);
    }
    let both = format!("[\"{}\", {{ \"address\": \"{}\", \"weight\": 3 }}]", old.target(), new.target());
    operator(&gateway, Method::PUT, "/upstreams/app/targets", &both).await;
    let answers = load.next(200).await;
    assert!(answers["new"].abs_diff(150) < 10, "{answers:?}");

    // What can't be used is refused whole, and says why.
    let refused = operator(&gateway, Method::PUT, "/upstreams/app/targets", "[\"127.0.0.1:1\", \"no port\"]").await;
    assert!((400..500).contains(&refused.status) && refused.text().contains("no port"), "{refused:?}");
    operator(&gateway, Method::PUT, "/upstreams/nobody/targets", "[]").await.expect(404);
    assert_eq!(load.next(50).await.len(), 2);

    // Back to what the configuration says.
    let answer = operator(&gateway, Method::DELETE, "/upstreams/app/targets", "").await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    assert_eq!(load.next(50).await.keys().collect::<Vec<_>>(), ["old"]);
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_server_gets_no_new_requests_and_ends_those_it_has() {
    let open = gate();
    let held = Script::reply("held").wait(&open);
    let leaving = upstream().reply("/", "leaving").route("/held", held.clone()).start().await;
    let staying = upstream().reply("/", "staying").route("/held", held).start().await;
    let targets = format!("targets: [\"{}\", \"{}\"]", leaving.target(), staying.target());
    let gateway = tidegate().start(&yaml(&targets)).await;
    let mut under_way = Vec::new();
    for _ in 0..2 {
        let addr = gateway.addr();
        under_way.push(tokio::spawn(async move { Client::connect(addr).await.get("/held").await }));
    }
    leaving.wait_for(1).await;
    staying.wait_for(1).await;

    let load = load(gateway.addr(), "/", CLIENTS);
    load.next(30).await;
    let path = format!("/upstreams/app/targets/{}/drain", leaving.target());
    let answer = operator(&gateway, Method::PUT, &path, "").await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    until_usable(&gateway, &leaving.target(), false).await;
    assert_eq!(load.next(100).await.keys().collect::<Vec<_>>(), ["staying"]);
    open.open();
    for request in under_way {
        assert_eq!(request.await.expect("an answer").expect(200).text(), "held");
    }

    let answer = operator(&gateway, Method::DELETE, &path, "").await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    assert_eq!(load.next(50).await.len(), 2);
    load.finish().await;
}
