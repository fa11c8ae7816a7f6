//! Parameters and header fields (F41, A3).

use super::*;
use crate::shops::Shops;

#[tokio::test]
async fn the_query_is_held_against_the_list() {
    let policy = "{ query: [{ name: limit, type: integer, min: 1, max: 100, required: true }, \
                  { name: \"a b\", pattern: \"[a-z ]+\" }, { name: tag, enum: [x, y], occurs: often }], other_query: refuse }";
    let (upstream, gateway) = guarded(policy).await;
    for good in
        ["/?limit=1", "/?limit=100&a+b=x+y", "/?%6Cimit=7&a%20b=x", "/?limit=7&tag=x&tag=y&tag=x", "/?&limit=1&"]
    {
        get(&gateway, good).await.expect(200);
        assert_eq!(upstream.requests().pop().expect("one").target, good);
    }
    upstream.forget();
    for (bad, found) in [
        ("/", "query limit: it is missing"),
        ("/?limit=", "query limit: it must be a whole number"),
        ("/?limit=0", "query limit: it must be at least 1"),
        ("/?limit=1&limit=2", "query limit: it is there more than once"),
        ("/?limit=1&limi%74=2", "query limit: it is there more than once"),
        ("/?limit=1&a+b=hunter2", "query a b: it does not have the form that it must have"),
        ("/?limit=1&a+b=x%0A", "query a b: it does not have the form that it must have"),
        ("/?limit=1&a+b=%ff", "query a b: it is no text that can be read"),
        ("/?limit=1&tag=x&tag=z", "query tag: it is none of the values that it may have"),
        ("/?limit=1&other=hunter2", "query other: there is no such parameter"),
        ("/?limit=1&%ff=1", "query : a name is no UTF-8"),
    ] {
        let answer = get(&gateway, bad).await.expect(400);
        assert_eq!(errors(&answer), [found], "{bad}");
        assert!(!answer.text().contains("hunter2"));
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(failures(&gateway, "enforce", "query").await, 11.0);
}

#[tokio::test]
async fn path_and_header_fields_are_held_against_the_list() {
    let policy = "{ path: [{ name: shop, pattern: \"[a-z]+\", max_length: 5 }], \
                  headers: [{ name: X-Tenant, required: true, format: uuid }, { name: x-debug, type: boolean }] }";
    let yaml = format!("routing: {{ plugins: {{ validation: {policy} }} }}\n");
    let gateway = tidegate_testkit::gateway().router::<Shops>().plugin::<Validation>().start(&yaml).await;
    let tenant = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let ask = |path: &str, fields: &[(&str, &str)]| {
        let request = gateway.request(Method::GET, path);
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    ask("/shops/abc/orders", &[("X-Tenant", tenant)]).await.expect(200);
    ask("/shops/a%62c/orders", &[("x-tenant", tenant), ("X-Debug", "true")]).await.expect(200);
    let answer = ask("/shops/ABC/orders", &[("X-Debug", "1")]).await.expect(400);
    assert_eq!(
        errors(&answer),
        [
            "path shop: it does not have the form that it must have",
            "header X-Tenant: it is missing",
            "header x-debug: it must be true or false",
        ]
    );
    for fields in [
        vec![("X-Tenant", "x")],
        vec![("X-Tenant", tenant), ("X-Tenant", tenant)],
        vec![("X-Tenant", tenant), ("X-Debug", "\u{e4}")],
    ] {
        ask("/shops/abc/orders", &fields).await.expect(400);
    }
    ask("/shops/abc%00/orders", &[("X-Tenant", tenant)]).await.expect(400);
    ask("/shops/abcdef/orders", &[("X-Tenant", tenant)]).await.expect(400);
    assert_eq!(failures(&gateway, "enforce", "path").await, 3.0);
}
