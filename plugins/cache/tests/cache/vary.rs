//! Which of several answers to one URL a request gets (RFC 9111 section 4.1).

use http::Method;
use tidegate_testkit::{Http, Script};

use crate::{is_hit, minute, stage, told};

fn by(field: &str, body: &'static str) -> Script {
    minute(body).header("Vary", field)
}

#[tokio::test]
async fn each_value_of_a_field_has_its_own_answer() {
    let stage =
        stage("{}", by("Accept-Language", "de").then(by("Accept-Language", "en")).then(by("Accept-Language", "none")))
            .await;
    let ask = async |language: &str| stage.ask("/a", &[("accept-language", language)]).await.expect(200);
    assert_eq!(told(&ask("de").await), "tidegate; fwd=uri-miss; fwd-status=200; stored; ttl=60");
    assert_eq!(told(&ask("en").await), "tidegate; fwd=vary-miss; fwd-status=200; stored; ttl=60");
    assert_eq!(stage.get("/a").await.text(), "none");
    for _ in 0..2 {
        for (language, text) in [("de", "de"), ("en", "en"), ("DE", "de")] {
            let answer = ask(language).await;
            assert_eq!((answer.text().as_str(), is_hit(&answer)), (text, true));
        }
        assert!(is_hit(&stage.get("/a").await));
    }
    assert_eq!(stage.asked(), 3);
}

/// Row I7: what accepts the same codings is one variant.
#[tokio::test]
async fn codings_in_any_order_are_one_variant() {
    for http in Http::BOTH {
        let stage = stage("{}", by("Accept-Encoding", "x").header("Content-Encoding", "br")).await;
        let values = ["gzip, br", "br,gzip", "gzip;q=1.0, br", "br, gzip, exi", "GZIP,  BR;q=1"];
        for (nth, value) in values.iter().enumerate() {
            let answer =
                stage.gateway.request(Method::GET, "/a").by(http).header("accept-encoding", *value).send().await;
            assert_eq!(is_hit(&answer), nth > 0, "{value}");
        }
        for (nth, value) in ["gzip", "", "zstd"].iter().enumerate() {
            stage.ask("/a", &[("accept-encoding", value)]).await.expect(200);
            assert_eq!(stage.asked(), nth + 2, "{value:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_varies_by_other_fields_than_before_is_found_by_those() {
    let stage = stage("{}", by("X-A", "by a").then(by("X-B", "by b")).then(by("X-B", "other b"))).await;
    let ask = async |a: &str, b: &str| stage.ask("/x", &[("x-a", a), ("x-b", b)]).await.expect(200);
    assert_eq!(ask("1", "1").await.text(), "by a");
    // Another value of the field that it varied by: another answer, which varies by another field.
    assert_eq!(ask("2", "1").await.text(), "by b");
    let same = ask("3", "1").await;
    assert_eq!((same.text().as_str(), is_hit(&same)), ("by b", true));
    assert_eq!(ask("3", "2").await.text(), "other b");
}

#[tokio::test]
async fn what_varies_by_a_field_that_the_gateway_sets_is_not_shared() {
    let stage =
        stage("{}", minute("ann's").header("Cache-Control", "public").header("Vary", "X-User").then(minute("bob's")))
            .await;
    let ask = async |who: &str| stage.ask("/a", &[("x-login", who)]).await.expect(200);
    let first = ask("ann").await;
    assert!(told(&first).contains("detail=vary"), "{}", told(&first));
    assert_eq!(ask("bob").await.text(), "bob's");
}

#[tokio::test]
async fn variants_stay_when_one_of_them_is_confirmed() {
    let tagged = |body: &'static str| by("X-A", body).header("ETag", format!("\"{body}\""));
    let stage = stage("{}", tagged("one").then(tagged("two"))).await;
    let ask = async |a: &str| stage.ask("/x", &[("x-a", a)]).await.expect(200);
    ask("1").await;
    stage.pass(30);
    ask("2").await;
    stage.pass(31);
    stage.now(Script::status(304).header("ETag", "\"one\"").header("Cache-Control", "max-age=60"));
    let confirmed = ask("1").await;
    assert_eq!((confirmed.text().as_str(), told(&confirmed).contains("fwd-status=304")), ("one", true));
    let other = ask("2").await;
    assert_eq!((other.text().as_str(), is_hit(&other)), ("two", true));
}
