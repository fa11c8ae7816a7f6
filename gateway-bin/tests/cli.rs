//! The command line, as a person at a shell sees it.

use std::path::PathBuf;
use std::process::{Command, Output};

const CONFIG: &str = r#"
listeners:
  - { name: main, bind: "127.0.0.1:0" }
  - { name: old, bind: "127.0.0.1:0", redirect_https: 308 }
upstreams:
  users: { targets: ["127.0.0.1:3002"] }
  canary: { targets: ["127.0.0.1:3003"] }
headers:
  default: { security: helmet }
routing:
  routes:
    - name: users
      match: { host: api.example.com, path: "/v1/users/{id}" }
      upstream: users
      plugins: { headers: { request: { set: { X-Route: "{route}" } } } }
    - name: shop
      match: { path: "/shop/**", headers: [{ name: X-Version, value: "2" }] }
      split: [{ upstream: canary, weight: 10 }, { upstream: users, weight: 90 }]
      limits: { body: 1MiB }
"#;

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn tidegate(args: &[&str]) -> Run {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(args)
        .env_remove("TIDEGATE_CONFIG")
        .output()
        .expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Run { code: status.code().expect("an exit code"), out: text(stdout), err: text(stderr) }
}

/// A file of its own for each test; gone with it.
struct Config(tempfile::TempDir);

impl Config {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("tidegate.yaml"), text).expect("written");
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("tidegate.yaml")
    }

    fn run(&self, args: &[&str]) -> Run {
        let path = self.path();
        tidegate(&[args, &["--config", path.to_str().expect("text")]].concat())
    }
}

#[test]
fn help_names_every_command_signal_and_exit_code() {
    let run = tidegate(&["--help"]);
    assert_eq!(run.code, 0);
    for word in
        ["run", "check", "explain", "routes", "schema", "completions", "version", "SIGHUP", "Exit codes", "RUST_LOG"]
    {
        assert!(run.out.contains(word), "{word} is missing:\n{}", run.out);
    }
}

#[test]
fn an_unknown_command_is_refused_with_code_2() {
    let run = tidegate(&["rum"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("run"), "{}", run.err);
}

#[test]
fn version_is_the_crates() {
    assert_eq!(tidegate(&["version"]).out, format!("tidegate {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn check_says_that_a_good_configuration_is_good() {
    let run = Config::new(CONFIG).run(&["check"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.contains("good (2 routes, 2 upstreams)"), "{}", run.out);
}

#[test]
fn check_tells_every_fault_with_its_place_and_code_2() {
    let run = Config::new(&format!("{}sorver: {{}}\n", CONFIG.replace("1MiB", "1"))).run(&["check"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(run.err.contains("tidegate.yaml:19:23: routing.routes[1].limits.body"), "{}", run.err);
    assert!(run.err.contains("did you mean `server`?") && run.err.contains("2 errors"), "{}", run.err);
}

#[test]
fn a_route_to_an_upstream_that_is_not_there_gets_the_nearest_name() {
    let run = Config::new(&CONFIG.replace("upstream: users\n", "upstream: user\n")).run(&["check"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("routing.routes[0].upstream") && run.err.contains("did you mean `users`?"), "{}", run.err);
}

const UNHEARD: &str = "several targets, and nothing notices when one of them fails";

#[test]
fn check_warns_and_strict_check_refuses() {
    let config = Config::new(&CONFIG.replace("\"127.0.0.1:3002\"", "\"127.0.0.1:3002\", \"127.0.0.1:3012\""));
    let run = config.run(&["check"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("good (2 routes, 2 upstreams)"), "{}", run.out);
    assert!(run.err.starts_with("warning: ") && run.err.contains(UNHEARD), "{}", run.err);
    let strict = config.run(&["check", "--strict"]);
    assert_eq!((strict.code, strict.out.as_str()), (2, ""));
    let place = format!("tidegate.yaml:6:12: upstreams.users.targets: {UNHEARD}");
    assert!(strict.err.contains(&place) && strict.err.contains("help: add `health: {}`"), "{}", strict.err);
    assert!(strict.err.ends_with("1 error\n"), "{}", strict.err);
}

#[test]
fn strict_check_takes_what_there_is_nothing_to_say_about() {
    let run = Config::new(CONFIG).run(&["check", "--strict"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}

#[test]
fn check_of_a_file_that_is_not_there_says_so() {
    let run = tidegate(&["check", "--config", "/nowhere/at/all.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("/nowhere/at/all.yaml"), "{}", run.err);
}

#[test]
fn check_makes_no_log_file() {
    let config = Config::new(CONFIG);
    let log = config.0.path().join("access.log");
    std::fs::write(config.path(), format!("{CONFIG}\naccess_log: {{ to: {{ file: {:?} }} }}\n", log)).expect("written");
    assert_eq!(config.run(&["check"]).code, 0);
    assert!(!log.exists());
}

#[test]
fn explain_says_which_route_and_why_and_what_plugins_were_asked() {
    let run = Config::new(CONFIG).run(&["explain", "GET", "https://api.example.com/v1/users/7?x=1"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for text in
        ["GET https://api.example.com/v1/users/7?x=1", "route    users", "id = 7", "headers (route)", "upstream users"]
    {
        assert!(run.out.contains(text), "{text} is missing:\n{}", run.out);
    }
}

#[test]
fn explain_takes_headers_into_account() {
    let config = Config::new(CONFIG);
    let with = config.run(&["explain", "GET", "http://any.test/shop/cart", "-H", "X-Version: 2"]);
    assert_eq!(with.code, 0);
    assert!(with.out.contains("route    shop") && with.out.contains("canary 10.0%"), "{}", with.out);
    assert!(with.out.contains("headers (default)") && with.out.contains("body 1MiB"), "{}", with.out);
    let without = config.run(&["explain", "GET", "http://any.test/shop/cart"]);
    assert_eq!(without.code, 1, "no route is code 1");
    assert!(without.out.contains("404"), "{}", without.out);
}

#[test]
fn explain_says_that_what_the_gateway_answers_itself_is_not_cached() {
    let site = "listeners: [{ bind: \"127.0.0.1:0\" }]\nupstreams: { app: { targets: [\"127.0.0.1:3001\"] } }\ncache: { default: {} }\nrouting:\n  routes:\n    \
                - { name: site, match: { path: /site }, endpoint: { files: { root: . } } }\n    \
                - { name: app, match: { path: /app }, upstream: app }\n";
    let config = Config::new(site);
    let site = config.run(&["explain", "GET", "/site"]);
    assert!(site.out.contains("what the gateway answers itself is not cached"), "{}{}", site.out, site.err);
    let app = config.run(&["explain", "GET", "/app"]);
    assert!(app.out.contains("looked up in the cache"), "{}{}", app.out, app.err);
}

#[test]
fn explain_knows_the_redirect_of_a_listener() {
    let run = Config::new(CONFIG).run(&["explain", "GET", "http://api.example.com/v1/users/7", "--listener", "old"]);
    assert_eq!(run.code, 0);
    assert!(run.out.contains("308 to https"), "{}", run.out);
}

#[test]
fn explain_refuses_what_is_no_request() {
    let config = Config::new(CONFIG);
    for args in [
        ["explain", "GET", "http://[bad", "--client", "127.0.0.1"],
        ["explain", "GET", "/", "-H", "no colon"],
        ["explain", "GET", "/", "--listener", "none"],
        ["explain", "GET", "/", "--client", "nobody"],
    ] {
        let run = config.run(&args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.out);
        assert!(!run.err.is_empty(), "{args:?}");
    }
}

#[test]
fn routes_are_listed_with_what_serves_them() {
    let run = Config::new(CONFIG).run(&["routes"]);
    assert_eq!(run.code, 0);
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.out);
    assert!(lines[1].starts_with("users") && lines[1].contains("api.example.com/v1/users/{id}"), "{}", run.out);
    assert!(lines[2].contains("split canary 10.0%, users 90.0%"), "{}", run.out);
}

#[test]
fn the_schema_has_every_section_and_describes_every_key() {
    let run = tidegate(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&run.out).expect("JSON");
    for section in ["server", "listeners", "upstreams", "routing", "headers", "admin", "access_log", "errors", "stores"]
    {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["headers"]["properties"]["default"].is_object(), "a plugin's default policy");
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let run = tidegate(&["completions", shell]);
        assert_eq!(run.code, 0);
        assert!(run.out.contains("explain"), "{shell}");
    }
}

#[test]
fn run_with_a_bad_configuration_ends_at_once_with_code_2() {
    let run = Config::new("listeners: [{ bind: nowhere }]\n").run(&["run"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("listeners[0].bind"), "{}", run.err);
}

#[test]
fn run_on_an_address_that_is_taken_names_the_place() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("an address");
    let text = format!("listeners: [{{ bind: \"{address}\" }}]\nadmin: off\n");
    let run = Config::new(&text).run(&["run"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("listeners[0]") && run.err.contains(&address.to_string()), "{}", run.err);
}

const DECIDED: &str = r#"
listeners: [{ bind: "127.0.0.1:0" }]
upstreams: { docs: { targets: ["127.0.0.1:3002"] } }
auth:
  providers: [{ jwt: { keys: [{ secret: "a secret of 32 bytes, or longer than that", algorithms: [HS256] }] } }]
  acl:
    docs: { entries: { "doc:7": { ann: [read] } } }
    shared: { store: { name: shared } }
  statements:
    - { name: readers, effect: allow, actions: [get], resources: ["/docs/*"] }
  cedar:
    inline: |
      @id("staff")
      permit(principal in Role::"staff", action, resource);
      @id("night")
      forbid(principal, action, resource) when { context.client.isInRange(ip("10.9.0.0/16")) };
stores: { shared: { redis: "redis://127.0.0.1:1" } }
routing:
  routes:
    - name: docs
      match: { path: "/docs/{id}" }
      upstream: docs
      plugins:
        auth:
          require:
            roles: [staff, admin]
            scopes: ["docs:read"]
            params: { id: doc }
            acl: { list: docs, resource: "doc:{id}" }
            statements: true
            cedar: {}
    - name: shared
      match: { path: "/shared/{id}" }
      upstream: docs
      plugins: { auth: { require: { acl: { list: shared, resource: "doc:{id}" } } } }
"#;

/// What `explain` says that the auth plugin would do.
fn explained(args: &[&str]) -> String {
    let run = Config::new(DECIDED).run(&[&["explain"], args].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    let told = run.out.lines().skip_while(|line| !line.starts_with("auth "));
    told.map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn explain_says_which_rule_allows_and_which_denies() {
    let ann = r#"{"sub": "ann", "roles": ["staff"], "scope": "docs:read x", "doc": 7}"#;
    assert_eq!(
        explained(&["GET", "/docs/7", "--claims", ann]),
        "auth     require one role of [staff, admin]: identity has [staff]: allowed
require scopes [docs:read]: identity has [docs:read, x]: allowed
require {id} = claim doc: allowed
acl docs: read on \"doc:7\": allowed
statements: get on /docs/7: statement `readers` allows it: allowed
cedar: Action::\"get\" on Route::\"docs\": permitted by policy `staff`: allowed
together: allowed"
    );
    let denied = explained(&["PUT", "/docs/8", "--claims", ann, "--client", "10.9.1.1"]);
    for line in [
        "require {id} = claim doc: denied",
        "acl docs: write on \"doc:8\": denied",
        "statements: put on /docs/8: no statement allows it: denied",
        "cedar: Action::\"put\" on Route::\"docs\": forbidden by policy `night`: denied",
        "together: denied",
    ] {
        assert!(denied.lines().any(|told| told == line), "{line} is missing:\n{denied}");
    }
}

#[test]
fn explain_without_claims_says_what_would_be_required() {
    let told = explained(&["GET", "/docs/7"]);
    assert!(told.starts_with("auth     401: "), "{told}");
    for line in ["require one role of [staff, admin]", "require scopes [docs:read]", "acl docs: read on \"doc:7\""] {
        assert!(told.lines().any(|said| said == line), "{line} is missing:\n{told}");
    }
    assert!(!told.contains("together"), "{told}");
}

#[test]
fn explain_asks_no_store() {
    let told = explained(&["GET", "/shared/7", "--claims", r#"{"sub": "ann"}"#]);
    assert!(told.contains("acl shared: read on \"doc:7\": would ask store shared for acl:…"), "{told}");
    assert!(told.ends_with("together: allowed, unless those who would be asked deny"), "{told}");
}

#[test]
fn explain_refuses_claims_that_are_none() {
    let config = Config::new(DECIDED);
    for claims in ["", "[]", "{}", r#"{"sub": 7}"#, r#"{"sub": "#] {
        let run = config.run(&["explain", "GET", "/docs/7", "--claims", claims]);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{claims}");
        assert!(run.err.contains("--claims"), "{claims}: {}", run.err);
    }
}
