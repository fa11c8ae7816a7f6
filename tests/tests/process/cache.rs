//! `tidegate cache` against a gateway that runs (I5, I8).

use std::process::Output;

use http::Method;
use tidegate_testkit::{Script, Signal, Upstream, call, upstream, wait_until_async};

use crate::Tidegate;

async fn site() -> Upstream {
    let page = Script::reply("page").header("Cache-Control", "max-age=3600").header("Cache-Tag", "sale");
    upstream().route("/*", page).start().await
}

async fn serving(upstream: &Upstream, warm: &str) -> Tidegate {
    Tidegate::start(&format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\ncache: {{ warm: {warm} }}\n\
         routing: {{ routes: [{{ name: all, upstream: app, plugins: {{ cache: {{}} }} }}] }}\n",
        upstream.target()
    ))
    .await
}

impl Tidegate {
    /// What `tidegate cache …` does and says.
    async fn cache(&self, args: &[&str]) -> Output {
        let admin = self.admin.to_string();
        let mut command = tokio::process::Command::new(crate::tidegate_program());
        command.arg("cache").args(args).args(["--admin", &admin]).output().await.expect("it runs")
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_warms_looks_explains_and_purges_by_the_command_line() {
    let upstream = site().await;
    let gateway = serving(&upstream, "{ on_start: false }").await;
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("urls.txt");
    let urls: String = (0..250).map(|n| format!("http://shop.example/{n}\n")).collect();
    std::fs::write(&list, urls).expect("written");

    let warm = gateway.cache(&["warm", "--list", &list.to_string_lossy()]).await;
    assert!(warm.status.success() && text(&warm).contains("250 requests"), "{}", text(&warm));
    assert_eq!(upstream.requests().len(), 250);

    let explained = gateway.cache(&["explain", "http://shop.example/7"]).await;
    assert!(text(&explained).contains("answered from the cache"), "{}", text(&explained));
    let zones = gateway.cache(&["zones"]).await;
    assert!(text(&zones).contains("\"objects\": 250"), "{}", text(&zones));

    let purged = gateway.cache(&["purge", "--tag", "sale"]).await;
    assert!(purged.status.success() && text(&purged).contains("tag sale"), "{}", text(&purged));
    let explained = gateway.cache(&["explain", "http://shop.example/7"]).await;
    assert!(text(&explained).contains("stored the answer"), "{}", text(&explained));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_done_is_said_and_fails() {
    let upstream = site().await;
    let gateway = serving(&upstream, "{ on_start: false }").await;
    for (args, why) in [
        (&["purge", "--url", "/x"][..], "scheme"),
        (&["warm", "nothing"], "scheme"),
        (&["purge", "--all", "--zone", "other"], "no zone"),
    ] {
        let refused = gateway.cache(args).await;
        assert!(!refused.status.success() && text(&refused).contains(why), "{args:?}: {}", text(&refused));
    }
    for args in [&["purge"][..], &["purge", "--all", "--tag", "x"], &["nothing"]] {
        assert_eq!(gateway.cache(args).await.status.code(), Some(2), "{args:?}");
    }
}

/// What was wanted most is fetched again by the next gateway, before anybody asks.
#[tokio::test(flavor = "multi_thread")]
async fn the_most_wanted_of_one_run_are_warm_in_the_next() {
    let upstream = site().await;
    let folder = tempfile::tempdir().expect("a folder");
    let warm = format!("{{ top: {{ file: \"{}\", count: 3 }} }}", folder.path().join("top.txt").display());
    let mut gateway = serving(&upstream, &warm).await;
    for _ in 0..40 {
        gateway.connect().await.send(call(Method::GET, "/wanted").host("shop.example")).await.expect(200);
    }
    gateway.program.signal(Signal::Term);
    gateway.program.wait().await;
    upstream.forget();

    let _next = serving(&upstream, &warm).await;
    wait_until_async("the most wanted", async || upstream.requests().iter().any(|r| r.path() == "/wanted")).await;
}
