//! What the program says of identities before anybody asks.

use std::process::Command;

use crate::tidegate_program;

/// Routes that ask for more and more.
const RULES: &str = "
listeners: [{ bind: \"127.0.0.1:0\" }]
auth:
  providers: [{ jwt: { jwks: { url: \"http://127.0.0.1:1/jwks\" }, issuer: issuer, audience: [api] } }]
  roles: { editor: [\"docs:*\"] }
  statements:
    - { name: own, effect: allow, actions: [get], resources: [\"/notes/*\"], when: { params: { user: sub } } }
    - { name: not-root, effect: deny, actions: [\"*\"], resources: [\"/notes/root\"] }
  cedar:
    inline: |
      @id(\"grown-ups\")
      permit (principal, action, resource) when { context.claims has age && context.claims.age >= 18 };
routing:
  routes:
    - { name: public, match: { path: \"/**\" }, reply: { body: hi } }
    - name: docs
      match: { path: \"/docs/**\" }
      reply: { body: hi }
      plugins: { auth: { require: { permissions: [\"docs:read\"] } } }
    - name: notes
      match: { path: \"/notes/{user}\" }
      reply: { body: hi }
      plugins: { auth: { require: { statements: true } } }
    - { name: wine, match: { path: /wine }, reply: { body: hi }, plugins: { auth: { require: { cedar: {} } } } }
";

fn explain(url: &str, claims: Option<&str>) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tidegate.yaml");
    std::fs::write(&file, RULES).expect("written");
    let mut command = Command::new(tidegate_program());
    command.args(["explain", "--config"]).arg(&file).args(["GET", url]);
    claims.iter().for_each(|claims| {
        command.args(["--claims", claims]);
    });
    let output = command.output().expect("it runs");
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{url}: {out}{error}");
    out.into_owned()
}

#[test]
fn explain_says_which_rule_allows_or_forbids_somebody_with_these_claims() {
    for (url, claims, said) in [
        ("/", None, &["nobody is asked"][..]),
        ("/docs/1", None, &["401", "docs:read"]),
        ("/docs/1", Some(r#"{"sub": "ada", "roles": ["editor"]}"#), &["docs:read", "together: allowed"]),
        ("/docs/1", Some(r#"{"sub": "ada", "roles": ["user"]}"#), &["docs:read", "[editor]", "together: denied"]),
        ("/notes/ada", Some(r#"{"sub": "ada"}"#), &["own", "together: allowed"]),
        ("/notes/bob", Some(r#"{"sub": "ada"}"#), &["together: denied"]),
        ("/notes/root", Some(r#"{"sub": "root"}"#), &["not-root", "together: denied"]),
        ("/wine", Some(r#"{"sub": "ada", "age": 18}"#), &["grown-ups", "together: allowed"]),
        ("/wine", Some(r#"{"sub": "ada", "age": 17}"#), &["together: denied"]),
    ] {
        let out = explain(url, claims);
        for part in said {
            assert!(out.contains(part), "{url} {claims:?}: {part:?} is not in:\n{out}");
        }
    }
}
