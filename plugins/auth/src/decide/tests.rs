//! What tests of rules have in common, and the rules together.

use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use serde_json::{Value, json};
use tidegate_core::facts::{Identity, IdentityParts};
use tidegate_core::{
    Asked, BuildCx, Clock, ConfigErrors, ConfigPath, HeaderMap, Method, Metrics, Params, RequestHead, Retained, Route,
    RouteId, Scheme, Stores,
};

use super::{Decider, Decision, Rules};
use crate::config::{Config, Policy};

/// Somebody with these roles and claims; scopes are those of the claim.
pub(super) fn who(subject: &str, roles: &[&str], claims: Value) -> Identity {
    let Value::Object(claims) = claims else { unreachable!("claims are an object") };
    let scopes = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
    IdentityParts {
        subject: subject.into(),
        provider: "test".into(),
        roles: roles.iter().map(|role| Box::from(*role)).collect(),
        scopes: scopes.split_whitespace().map(Box::from).collect(),
        claims,
        ..Default::default()
    }
    .into()
}

/// A route with these path parameters.
pub(super) fn route(params: &[&str]) -> Route {
    Route::new(RouteId(0), "users", params.iter().map(|name| Box::from(*name)).collect(), ConfigPath::root(), "test")
}

/// A request to be decided about.
pub(super) struct Question<'q> {
    pub(super) method: Method,
    pub(super) identity: Option<Identity>,
    path: &'q str,
    client: IpAddr,
    params: Vec<(&'q str, Range<usize>)>,
}

impl<'q> Question<'q> {
    pub(super) fn get(path: &'q str) -> Self {
        let client = IpAddr::from([127, 0, 0, 1]);
        Self { method: Method::GET, identity: None, path, client, params: Vec::new() }
    }

    pub(super) fn method(self, name: &str) -> Self {
        Self { method: name.parse().expect("a method"), ..self }
    }

    pub(super) fn by(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    pub(super) fn from(self, client: &str) -> Self {
        Self { client: client.parse().expect("an address"), ..self }
    }

    /// The route has this parameter, and the path has it there.
    pub(super) fn param(mut self, name: &'q str, place: Range<usize>) -> Self {
        self.params.push((name, place));
        self
    }

    pub(super) fn ask<T>(&self, what: impl FnOnce(&Asked<'_>) -> T) -> T {
        let names: Vec<&str> = self.params.iter().map(|(name, _)| *name).collect();
        let (route, mut params) = (route(&names), Params::default());
        self.params.iter().for_each(|(_, place)| params.push(place.start, place.end));
        let headers = HeaderMap::new();
        let head = RequestHead {
            method: &self.method,
            authority: "example.test",
            path: self.path,
            query: None,
            headers: &headers,
            client: self.client,
            scheme: Scheme::Https,
            listener: "main",
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        what(&Asked { head, route: &route, params: &params, identity: self.identity.as_ref(), at })
    }

    /// By rules that wait for nobody.
    pub(super) fn decide(&self, rules: &Rules) -> Decision {
        self.ask(|asked| rules.decide(asked).now_or_never().expect("nobody is asked"))
    }

    pub(super) fn explain(&self, rules: &Rules) -> String {
        self.ask(|asked| rules.explain(asked)).join("\n")
    }
}

/// A GET of `path`, in which parameters are.
pub(super) fn ask<T>(path: &str, params: &[(&str, Range<usize>)], what: impl FnOnce(&Asked<'_>) -> T) -> T {
    let question = Question { params: params.to_vec(), ..Question::get(path) };
    question.ask(what)
}

/// The section's rules.
pub(super) fn decider(section: &str) -> Result<std::sync::Arc<Decider>, ConfigErrors> {
    let config: Config = serde_yaml::from_str(section).expect("YAML");
    let (clock, metrics, stores, kept) = (Clock::system(), Metrics::new(), Stores::default(), Retained::new());
    let mut tasks = Vec::new();
    let mut cx = BuildCx::new("auth", &clock, &metrics, &stores, (&kept, None), &mut tasks);
    Decider::build(&config, &mut cx)
}

/// The rules of a route with these parameters, whose policy is `require`.
pub(super) fn rules(section: &str, require: &str, params: &[&str]) -> Result<Rules, ConfigErrors> {
    let policy: Policy = serde_yaml::from_str(&format!("{{ require: {require} }}")).expect("YAML");
    decider(section)?.rules(&policy.require, &route(params))
}

fn allows(rules: &Rules, question: &Question<'_>) -> bool {
    matches!(question.decide(rules), Decision::Allow)
}

#[test]
fn all_that_is_required_must_hold() {
    let section = "{ roles: { staff: ['users:*'] }, statements: [{ effect: allow, actions: ['*'], resources: ['*'],
        when: { client: [10.0.0.0/8] } }], acl: { docs: { entries: { 'doc:u1': { u1: [read] } } } },
        cedar: { inline: 'permit(principal, action, resource) when { context.claims.level > 2 };' } }";
    let require = "{ roles: [staff], scopes: [read], permissions: ['users:read'], claims: { tier: gold },
        params: { id: sub }, acl: { list: docs, resource: 'doc:{id}' }, statements: true, cedar: {} }";
    let rules = rules(section, require, &["id"]).expect("rules");
    let gold = || json!({ "scope": "read write", "tier": "gold", "level": 3 });
    let question = |path, subject, roles: &[&str], claims| {
        Question::get(path).param("id", 1..3).from("10.0.0.1").by(who(subject, roles, claims))
    };
    assert!(allows(&rules, &question("/u1", "u1", &["staff"], gold())));
    let without = |name: &str| {
        let Value::Object(mut claims) = gold() else { unreachable!() };
        claims.remove(name);
        Value::Object(claims)
    };
    for (question, by) in [
        (question("/u1", "u1", &["user"], gold()), "roles"),
        (question("/u1", "u1", &["staff"], without("tier")), "claim tier"),
        (question("/u2", "u1", &["staff"], gold()), "path parameter id"),
        (question("/u1", "u1", &["staff"], gold()).method("PUT"), "acl docs"),
        (question("/u2", "u2", &["staff"], gold()), "acl docs"),
        (question("/u1", "u1", &["staff"], gold()).from("192.0.2.1"), "statements: none allows it"),
        (question("/u1", "u1", &["staff"], without("level")), "cedar: no policy permits it; policy `inline#1` failed"),
    ] {
        match question.decide(&rules) {
            Decision::Deny(why) => assert!(why.starts_with(by), "{why} is not {by}"),
            other => panic!("{by}: {other:?}"),
        }
    }
    let few = question("/u1", "u1", &["staff"], without("scope"));
    assert!(matches!(few.decide(&rules), Decision::Scope(scopes) if scopes == "read"));
    let nobody = Question::get("/u1").param("id", 1..3);
    assert!(matches!(nobody.decide(&rules), Decision::Deny(_)));
}

#[test]
fn a_method_can_need_more_and_head_needs_what_get_does() {
    let require = "{ scopes: [a], methods: [{ methods: [DELETE], roles: [admin] }, { methods: [GET], scopes: [b] },
        { methods: [PUT, PATCH], permissions: ['users:write'] }] }";
    let rules = rules("{ roles: { editor: ['users:*'] } }", require, &[]).expect("rules");
    let ask = |method: &str, roles: &[&str], scope: &str| {
        Question::get("/x").method(method).by(who("u1", roles, json!({ "scope": scope }))).decide(&rules)
    };
    assert!(matches!(ask("POST", &[], "a"), Decision::Allow));
    assert!(matches!(ask("DELETE", &["user"], "a"), Decision::Deny(by) if by == "roles of the method"));
    assert!(matches!(ask("delete", &["user"], "a"), Decision::Deny(_)), "lenient upstreams read it as DELETE");
    assert!(matches!(ask("DELETE", &["admin"], "a"), Decision::Allow));
    for method in ["GET", "HEAD"] {
        assert!(matches!(ask(method, &[], "a"), Decision::Scope(scopes) if scopes == "a b"), "{method}");
        assert!(matches!(ask(method, &[], "b a"), Decision::Allow), "{method}");
    }
    assert!(matches!(ask("PATCH", &["user"], "a"), Decision::Deny(by) if by == "permission users:write"));
    assert!(matches!(ask("PATCH", &["editor"], "a"), Decision::Allow));
    assert!(matches!(ask("DELETE", &["user"], ""), Decision::Deny(_)), "more scopes would not help");
}

#[test]
fn nothing_required_takes_everybody_who_is_known() {
    let rules = rules("{}", "{}", &[]).expect("rules");
    assert!(allows(&rules, &Question::get("/").by(who("u1", &[], json!({})))));
    assert!(!allows(&rules, &Question::get("/")));
    assert_eq!(Question::get("/").explain(&rules), "require nothing but to be known");
}

#[test]
fn what_can_not_work_is_refused_at_once_with_its_place() {
    let section =
        "{ roles: { admin: ['a*b'] }, acl: { none: {}, bad: { entries: { d: { u: [''] } }, verbs: { get: x } },
        gone: { file: /nowhere/acl.yaml }, store: { store: { name: shared } } },
        statements: [{ effect: allow, actions: [], resources: [x] }], cedar: {} }";
    let errors = decider(section).err().expect("bad").to_string();
    for fault in [
        "roles.admin[0]: `*` stands at the end only",
        "acl.none: a list is exactly one of",
        "acl.bad.entries.d.u[0]: `` is not a verb",
        "acl.bad.verbs.get: methods are case-sensitive",
        "acl.gone.file: /nowhere/acl.yaml can't be read",
        "acl.store.store.name: no store is called `shared`",
        "statements[0].actions: none",
        "cedar: no policy",
    ] {
        assert!(errors.contains(fault), "{fault} is missing:\n{errors}");
    }
    let require = "{ roles: [''], scopes: ['a b'], permissions: [x], claims: { a: null }, params: { nope: sub },
        methods: [{ methods: [get] }, { methods: [] , roles: [a] }, { methods: [PUT] }], statements: true, cedar: {},
        acl: { list: nope, resource: '{nope}' }, actions: { G T: x, GET: '' } }";
    let errors = rules("{ acl: { docs: { entries: { d: { u: [read] } } } } }", require, &["id"]).err();
    let errors = errors.expect("bad").to_string();
    for fault in [
        "roles[0]: an empty name",
        "scopes[0]: this is not a scope",
        "permissions[0]: no role gives `x`",
        "claims.a: no claim is nothing",
        "params.nope: no path parameter is called `nope`\nhelp: this route's path has: id",
        "methods[0].methods[0]: methods are case-sensitive",
        "methods[1].methods: a rule for no method",
        "methods[2]: a rule that requires nothing",
        "statements: the section has none",
        "cedar: the section has no Cedar policies",
        "acl.list: no list is called `nope`\nhelp: auth.acl has: docs",
        "acl.resource: no path parameter is called `nope`",
        "actions.\"G T\": this is not a method",
        "actions.GET: an empty word",
    ] {
        assert!(errors.contains(fault), "{fault} is missing:\n{errors}");
    }
    let errors = rules("{}", "{ actions: { GET: read } }", &[]).expect_err("unused").to_string();
    assert!(errors.contains("actions: nobody asks for actions here"), "{errors}");
}

#[test]
fn explain_says_what_each_rule_says() {
    let section = "{ roles: { admin: ['*'] }, acl: { docs: { entries: { 'doc:7': { u1: [read] } } } },
        statements: [{ name: readers, effect: allow, actions: [get], resources: ['/*'] }],
        cedar: { inline: '@id(\"no-weekend\") forbid(principal, action, resource); permit(principal, action, resource);' } }";
    let require = "{ roles: [admin], scopes: [read], permissions: ['users:read'], claims: { tier: gold },
        params: { id: sub }, acl: { list: docs, resource: 'doc:{id}' }, statements: true, cedar: {},
        methods: [{ methods: [GET], roles: [reader] }, { methods: [PUT], roles: [writer] }] }";
    let rules = rules(section, require, &["id"]).expect("rules");
    let question = || Question::get("/7").param("id", 1..2);
    let told = question().by(who("u1", &["user"], json!({ "scope": "read" }))).explain(&rules);
    assert_eq!(
        told,
        "require one role of [admin]: identity has [user]: denied
require permission users:read, which is given to [admin]: identity has [user]: denied
require scopes [read]: identity has [read]: allowed
require for GET one role of [reader]: identity has [user]: denied
require claim tier = \"gold\": denied
require {id} = claim sub: denied
acl docs: read on \"doc:7\": allowed
statements: get on /7: statement `readers` allows it: allowed
cedar: Action::\"get\" on Route::\"users\": forbidden by policy `no-weekend`: denied
together: denied"
    );
    let asked = question().explain(&rules);
    assert_eq!(
        asked,
        "require one role of [admin]
require permission users:read, which is given to [admin]
require scopes [read]
require for GET one role of [reader]
require claim tier = \"gold\"
require {id} = claim sub
acl docs: read on \"doc:7\"
statements: get on /7
cedar: Action::\"get\" on Route::\"users\""
    );
}

/// The warnings of a section whose routes require this, with the parameter `id` in their paths.
fn warnings(section: &str, requires: &[&str]) -> String {
    let decider = decider(section).expect("a good section");
    for require in requires {
        let policy: Policy = serde_yaml::from_str(&format!("{{ require: {require} }}")).expect("YAML");
        decider.rules(&policy.require, &route(&["id"])).expect("rules");
    }
    decider.warnings().to_string()
}

/// The source's "bad example": `{ Action: "s3:*", Resource: "*" }` (F44).
#[test]
fn what_allows_everything_is_warned_about() {
    let section = "statements:
- { name: bad, effect: allow, actions: ['s3:*'], resources: ['*'] }
- { name: worse, effect: allow, actions: ['*'], resources: ['/*'] }
- { effect: allow, actions: ['s3:GetObject'], resources: ['/my-bucket/*'] }
- { effect: allow, actions: ['s3:GetObject'], resources: ['*'] }
- { effect: allow, actions: ['*'], resources: ['/my-bucket/*'] }
- { effect: allow, actions: ['*'], resources: ['*'], when: { client: [10.0.0.0/8] } }
- { effect: deny, actions: ['*'], resources: ['*'], principals: [mallory] }
";
    assert_eq!(
        warnings(section, &["{ statements: true, actions: { GET: 's3:GetObject' } }"]),
        "statements[0]: it allows all actions of a kind on every resource
help: name what is needed: actions: [users:read], resources: [\"/v1/users/*\"]
statements[1]: it allows every action on every resource
help: name what is needed: actions: [users:read], resources: [\"/v1/users/*\"]"
    );
}

#[test]
fn what_nobody_asks_for_is_warned_about() {
    let section = "
roles: { admin: ['*'], clerk: ['bills:*'] }
acl:
  used: { entries: { d: { u: [read, approve, publish] } }, verbs: { POST: publish } }
  idle: { entries: { d: { u: [read] } } }
statements: [{ effect: deny, actions: [get], resources: ['/x'], when: { params: { id: sub, other: sub } } }]
";
    let all = warnings(section, &["{ permissions: ['users:read'], acl: { list: used, resource: d } }"]);
    for warning in [
        "roles.clerk: no route requires a permission that this role gives",
        "acl.idle: no route asks this list",
        "acl.used: no method is `approve`",
        "statements: no statement allows anything",
        "statements: no route asks these statements",
    ] {
        assert!(all.contains(warning), "{warning} is missing:\n{all}");
    }
    assert_eq!(all.matches("help: ").count(), 5, "{all}");
    let all = warnings(section, &["{ statements: true }"]);
    assert!(all.contains("statements[0].when.params.other: no route that asks statements has"), "{all}");
    assert!(!all.contains("params.id") && !all.contains("no route asks these statements"), "{all}");
}

/// `DELETE` looks right, and is never the name of an action.
#[test]
fn an_action_that_no_request_has_is_warned_about() {
    let section = "statements:
- { effect: deny, actions: [DELETE, get, '*', 'p*', 'Users:*', 'users:read', 'users:write', propfind], resources: ['/x'] }
- { effect: allow, actions: [get], resources: ['/y'] }
";
    assert_eq!(
        warnings(section, &["{ statements: true, actions: { GET: 'users:read' } }"]),
        "statements[0].actions[0]: no route that asks statements calls an action so, and no method is called so
help: methods are written in lower case here: `delete`
statements[0].actions[4]: no route that asks statements calls an action so, and no method is called so
help: a route says what its actions are called: actions: { GET: \"users:read\" }
statements[0].actions[6]: no route that asks statements calls an action so, and no method is called so
help: a route says what its actions are called: actions: { GET: \"users:read\" }"
    );
}

#[test]
fn a_good_section_is_warned_of_nothing() {
    let section = "
roles: { admin: ['*'] }
acl: { docs: { entries: { d: { u: [read, write] } } } }
statements: [{ effect: allow, actions: ['users:read'], resources: ['/v1/users/*'] }]
cedar: { inline: 'permit(principal in Role::\"admin\", action, resource);' }
";
    let require = "{ permissions: [a], acl: { list: docs, resource: d }, statements: true, cedar: {},
        actions: { GET: 'users:read' } }";
    assert_eq!(warnings(section, &[require]), "");
}
