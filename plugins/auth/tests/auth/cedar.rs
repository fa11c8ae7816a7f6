//! Policies in Cedar (F25).

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_core::Method;
use tidegate_testkit::{Answer, Script, TestGateway, gate, manual_clock, upstream, wait_until};

use crate::paths::with_paths;
use crate::support::{bearer, claims_with, hs256, token};

/// Owner, or admin, or an editor of the same department.
const OWNER_ADMIN_EDITOR: &str = r#"
@id("owner")
permit(principal, action, resource is Doc) when { resource.created_by == principal };
@id("admin")
permit(principal in Role::"admin", action, resource is Doc);
@id("department")
permit(principal in Role::"editor", action, resource is Doc)
    when { resource.department == context.claims.department };
@id("sealed")
forbid(principal, action, resource is Doc) when { resource has sealed && resource.sealed };
"#;

/// A configuration with these policies in a file, and one route that asks them about `/docs/{id}`.
fn config(dir: &tempfile::TempDir, policies: &str, rule: &str) -> String {
    let file = dir.path().join("policies.cedar");
    std::fs::write(&file, policies).expect("written");
    format!(
        "auth:\n  providers: [{}]\n  cedar: {{ policies: [{file:?}] }}\nrouting:\n  routes:\n    - name: docs\n      \
         path: \"/docs/{{id}}\"\n      plugins: {{ auth: {{ require: {{ cedar: {rule} }} }} }}\n",
        hs256()
    )
}

fn fetched(target: &str, more: &str) -> String {
    format!(
        "{{ resource_type: Doc, resource: \"{{id}}\", fetch: {{ url: \"http://{target}/attributes/{{id}}\"{more} }} }}"
    )
}

async fn ask(gateway: &TestGateway, path: &str, subject: &str, claims: Value) -> Answer {
    let token = bearer(&token(&claims_with(subject, claims)));
    gateway.request(Method::GET, path).header("authorization", token).send().await
}

fn attributes(owner: &str, department: &str) -> Script {
    let owner = json!({ "__entity": { "type": "User", "id": owner } });
    Script::reply(json!({ "created_by": owner, "department": department, "size": 7, "rate": 1.5 }).to_string())
}

#[tokio::test]
async fn owner_admin_or_editor_in_all_sixteen_cases_with_attributes_of_a_service() {
    let service = upstream().route("/attributes/7", attributes("anna", "it")).start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let gateway = with_paths().start(&config(&dir, OWNER_ADMIN_EDITOR, &fetched(&service.target(), ""))).await;
    let mut table = String::new();
    for case in 0..16_u8 {
        let [owner, admin, same, editor] = [0, 1, 2, 3].map(|bit| case >> bit & 1 == 1);
        let roles: Vec<_> =
            [(admin, "admin"), (editor, "editor")].iter().filter(|(is, _)| *is).map(|(_, r)| *r).collect();
        let claims = json!({ "roles": roles, "department": if same { "it" } else { "hr" } });
        let found = ask(&gateway, "/docs/7", if owner { "anna" } else { "bob" }, claims).await.status;
        let expected = if owner || admin || (same && editor) { 200 } else { 403 };
        if found != expected {
            writeln!(table, "owner {owner} admin {admin} same {same} editor {editor}: {found}").expect("a text grows");
        }
    }
    assert!(table.is_empty(), "{table}");
    assert_eq!(gateway.get("/docs/7").await.status, 401);
    assert_eq!(service.requests().len(), 1, "the answer is remembered");
}

#[tokio::test]
async fn what_nobody_says_permits_nothing() {
    let service = upstream()
        .route("/attributes/partial", Script::reply("{}"))
        .route("/attributes/sealed", Script::reply(json!({ "sealed": true }).to_string()))
        .route("/attributes/gone", Script::status(404))
        .start()
        .await;
    let dir = tempfile::tempdir().expect("a directory");
    let gateway = with_paths().start(&config(&dir, OWNER_ADMIN_EDITOR, &fetched(&service.target(), ""))).await;
    let editor = || json!({ "roles": ["editor"], "department": "it" });
    for path in ["/docs/partial", "/docs/gone"] {
        assert_eq!(ask(&gateway, path, "anna", editor()).await.status, 403, "{path}");
        assert_eq!(ask(&gateway, path, "anna", json!({ "roles": ["admin"] })).await.status, 200, "{path}");
    }
    assert_eq!(ask(&gateway, "/docs/sealed", "anna", json!({ "roles": ["admin"] })).await.status, 403, "forbidden");
    let failed = [("policy", "department")];
    assert!(gateway.metric("tidegate_auth_cedar_errors_total", &failed).await >= 2.0);
}

#[tokio::test]
async fn while_attributes_can_not_be_asked_for_the_answer_is_503() {
    let service = upstream()
        .route("/attributes/broken", Script::status(500))
        .route("/attributes/list", Script::reply("[]"))
        .route("/attributes/text", Script::reply("created_by"))
        .route("/attributes/long", Script::generated(64 * 1024 + 1))
        .route("/attributes/moved", Script::status(302).header("location", "/attributes/good"))
        .route("/attributes/good", attributes("anna", "it"))
        .start()
        .await;
    let dir = tempfile::tempdir().expect("a directory");
    let gateway = with_paths().start(&config(&dir, OWNER_ADMIN_EDITOR, &fetched(&service.target(), ""))).await;
    for path in ["/docs/broken", "/docs/list", "/docs/text", "/docs/long", "/docs/moved"] {
        let answer = ask(&gateway, path, "anna", json!({ "roles": ["admin"] })).await;
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.json()["code"], "attributes_unavailable", "{path}");
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
    assert_eq!(ask(&gateway, "/docs/good", "anna", json!({})).await.status, 200);
    service.set("/attributes/broken", attributes("anna", "it"));
    assert_eq!(ask(&gateway, "/docs/broken", "anna", json!({})).await.status, 200, "a failure is not remembered");
}

#[tokio::test]
async fn attributes_are_asked_for_once_however_many_want_them_and_again_when_they_are_old() {
    let gate = gate();
    let service = upstream().route("/attributes/7", attributes("anna", "it").wait(&gate)).start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, rule) = (manual_clock(), fetched(&service.target(), ", cache: 10s"));
    let gateway = with_paths().clock(&clock).start(&config(&dir, OWNER_ADMIN_EDITOR, &rule)).await;
    let asks = futures_util::future::join_all((0..20).map(|_| ask(&gateway, "/docs/7", "anna", json!({}))));
    let opened = async {
        wait_until("the service is asked", || !service.requests().is_empty()).await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(asks, opened);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(service.requests().len(), 1);
    service.set("/attributes/7", attributes("bob", "it"));
    assert_eq!(ask(&gateway, "/docs/7", "anna", json!({})).await.status, 200, "remembered");
    clock.advance(Duration::from_secs(10));
    assert_eq!(ask(&gateway, "/docs/7", "anna", json!({})).await.status, 403, "asked again");
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn what_clients_choose_is_data_in_the_url() {
    let service = upstream().route("/attributes/a%2Fb", attributes("anna", "it")).start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let gateway = with_paths().start(&config(&dir, OWNER_ADMIN_EDITOR, &fetched(&service.target(), ""))).await;
    assert_eq!(ask(&gateway, "/docs/a%2Fb", "anna", json!({})).await.status, 200);
    let admin = || json!({ "roles": ["admin"] });
    for path in ["/docs/%2E%2E", "/docs/a%00", "/docs/a;b", "/docs/%ff"] {
        assert_eq!(ask(&gateway, path, "anna", admin()).await.status, 403, "{path}");
    }
    assert_eq!(service.requests().len(), 1, "nobody is asked about what has no single reading");
}

#[tokio::test]
async fn a_reload_brings_the_policies_that_are_in_the_file_then() {
    let dir = tempfile::tempdir().expect("a directory");
    let yaml = config(&dir, "permit(principal == User::\"anna\", action, resource);", "{}");
    let gateway = with_paths().start_from_file(&yaml).await;
    let gets = async |who: &str| ask(&gateway, "/docs/7", who, json!({})).await.status;
    assert_eq!((gets("anna").await, gets("bob").await), (200, 403));
    std::fs::write(dir.path().join("policies.cedar"), "permit(principal == User::\"bob\", action, resource);")
        .expect("written");
    gateway.running().reload_again().await.expect("a good configuration");
    assert_eq!((gets("anna").await, gets("bob").await), (403, 200));
    std::fs::write(dir.path().join("policies.cedar"), "permit(principal == ").expect("written");
    let error = gateway.running().reload_again().await.expect_err("a bad one").to_string();
    assert!(error.contains("auth.cedar.policies[0]: ") && error.contains("policies.cedar:1:"), "{error}");
    assert_eq!((gets("anna").await, gets("bob").await), (403, 200), "the last good one");
}

#[tokio::test]
async fn attributes_come_over_tls_from_whom_the_configuration_trusts() {
    let certs = tidegate_testkit::certs();
    let service =
        upstream().tls(&certs.leaf(&["127.0.0.1"])).route("/attributes/7", attributes("anna", "it")).start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let rule = fetched(&service.addr().to_string(), "").replace("http://", "https://");
    let yaml = config(&dir, OWNER_ADMIN_EDITOR, &rule);
    let trusting = |ca: &str| yaml.replace("cedar: { policies:", &format!("cedar: {{ ca: {ca:?}, policies:"));
    let gateway = with_paths().start(&trusting(certs.ca().to_str().expect("a path"))).await;
    ask(&gateway, "/docs/7", "anna", json!({})).await.expect(200);
    let gateway = with_paths().start(&yaml).await;
    ask(&gateway, "/docs/7", "anna", json!({})).await.expect(503);
    let error = with_paths().check(&trusting("/nowhere.pem")).expect_err("no such file");
    assert!(error.contains("auth.cedar.ca"), "{error}");
}
