//! What a line says, and what it must not.

use super::*;

fn extra_headers() -> Yaml {
    ["X-Tenant", "Authorization", "X-Absent"].map(Yaml::from).to_vec().into()
}

#[test]
fn the_json_line_of_a_request_is_this_one() {
    let scene = Scene::new(vec![("headers", extra_headers())]);
    scene.write(&full(&full_headers(), "cannot connect: refused"));
    scene.write(&plain(&HeaderMap::new()));
    let expected = concat!(
        r#"{"time":"2026-01-02T03:04:05.678Z","request_id":"id-1","method":"POST","path":"/v1/users/a b","#,
        r#""query":"page=2&access_token=***","host":"api.example.com:8443","scheme":"https","protocol":"HTTP/2","#,
        r#""client":"2001:db8::1","peer":"10.0.0.1:4711","listener":"main","tls":"TLSv1.3","route":"users","#,
        r#""status":502,"duration_ms":12.345,"bytes_in":17,"bytes_out":0,"answered_by":"gateway","#,
        r#""upstream":"users","target":"10.0.2.45:3000","tries":2,"retry_reason":"connect","retry_refused":"exhausted","code":"upstream_refused","#,
        r#""error":"cannot connect: refused","identity":"alice","user_agent":"curl/8 \"x\"","#,
        r#""referer":"https://b.test/p?token=***&a=1","header.x-tenant":"acme, evil","header.authorization":"***"}"#,
        "\n",
        r#"{"time":"2026-01-02T03:04:05.678Z","request_id":"id-1","method":"GET","path":"/","host":"a.test","#,
        r#""scheme":"http","protocol":"HTTP/1.1","client":"192.0.2.1","listener":"main","route":"none","status":404,"#,
        r#""duration_ms":0.133,"bytes_in":0,"bytes_out":120,"answered_by":"gateway"}"#,
        "\n"
    );
    assert_eq!(scene.text(), expected);
    for line in scene.text().lines() {
        serde_json::from_str::<Value>(line).expect("JSON");
    }
}

#[test]
fn the_text_line_of_a_request_is_this_one() {
    let scene = Scene::new(vec![("format", Yaml::from("text")), ("headers", extra_headers())]);
    scene.write(&full(&full_headers(), "cannot connect: refused"));
    scene.write(&plain(&HeaderMap::new()));
    let expected = concat!(
        r#"time=2026-01-02T03:04:05.678Z request_id=id-1 method=POST path="/v1/users/a b" "#,
        r#"query="page=2&access_token=***" host=api.example.com:8443 scheme=https protocol=HTTP/2 "#,
        r#"client=2001:db8::1 peer=10.0.0.1:4711 listener=main tls=TLSv1.3 route=users status=502 "#,
        r#"duration_ms=12.345 bytes_in=17 bytes_out=0 answered_by=gateway upstream=users "#,
        r#"target=10.0.2.45:3000 tries=2 retry_reason=connect retry_refused=exhausted code=upstream_refused error="cannot connect: refused" identity=alice "#,
        r#"user_agent="curl/8 \"x\"" referer="https://b.test/p?token=***&a=1" header.x-tenant="acme, evil" "#,
        "header.authorization=***\n",
        r#"time=2026-01-02T03:04:05.678Z request_id=id-1 method=GET path=/ host=a.test scheme=http "#,
        r#"protocol=HTTP/1.1 client=192.0.2.1 listener=main route=none status=404 duration_ms=0.133 bytes_in=0 "#,
        "bytes_out=120 answered_by=gateway\n"
    );
    assert_eq!(scene.text(), expected);
}

#[test]
fn secrets_never_reach_the_file() {
    for format in ["json", "text"] {
        let names = ["Authorization", "Cookie", "X-Api-Key", "Tax-Number"].map(Yaml::from).to_vec();
        let redact = vec![Yaml::from("tax_number")];
        let more = vec![("format", Yaml::from(format)), ("headers", names.into()), ("redact", redact.into())];
        let scene = Scene::new(more);
        let mut headers = full_headers();
        headers.append("x-api-key", HeaderValue::from_static("canary"));
        headers.append("tax-number", HeaderValue::from_static("canary"));
        let mut entry = full(&headers, "refused");
        entry.path = "/cart;jsessionid=canary/pay";
        entry.query = Some("token=canary&a=1&API-KEY=canary&tax-number=canary&next=%2Fcb%3Fcode%3Dcanary");
        entry.host = "alice:canary@a.test";
        scene.log.write(&entry);
        let text = scene.text();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("/cart;jsessionid=***") && text.contains("a=1"), "{text}");
        assert_eq!(text.matches("***").count(), 11, "{text}");
    }
}

#[test]
fn no_field_can_forge_a_line() {
    let attack = "x\"}\n{\"status\":200}\r\nstatus=200 \u{2028}\u{1b}[2J";
    for format in ["json", "text"] {
        let scene = Scene::new(vec![("format", Yaml::from(format)), ("headers", vec![Yaml::from("x-tenant")].into())]);
        let mut headers = HeaderMap::new();
        for name in ["user-agent", "referer", "x-tenant"] {
            headers.append(name, HeaderValue::from_bytes(b"x\" status=200 \xff\xe2\x80\xa8").expect("a value"));
        }
        let entry = Entry {
            path: attack,
            query: Some(attack),
            host: attack,
            listener: attack,
            tls: Some(attack),
            route: attack,
            upstream: Some(attack),
            target: Some(attack),
            code: Some(attack),
            subject: Some(attack),
            ..full(&headers, attack)
        };
        scene.log.write(&entry);
        let text = scene.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n') && !text.contains(['\r', '\u{1b}', '\u{2028}']), "{text}");
        if format == "json" {
            let line: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(line["status"], 502);
            assert_eq!(line["path"], attack);
        } else {
            assert_eq!(text.matches(" status=502 ").count(), 1);
            assert!(!text.contains(" status=200\n") && !text.starts_with("status=200"), "{text}");
        }
    }
}
