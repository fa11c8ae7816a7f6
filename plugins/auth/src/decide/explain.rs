//! What the rules say of a request, in lines for a person. Nobody is asked, and nothing counted.

use std::fmt;

use tidegate_core::Asked;
use tidegate_core::facts::Identity;

use super::claims;
use super::needs::{Needs, has_one_of};
use super::rules::Rules;
use super::statements::{Ruling, Statements};

/// What one rule is about, and what it says.
#[derive(Debug)]
pub(super) struct Told {
    line: String,
    says: Says,
}

/// What a rule says.
#[derive(Debug)]
pub(super) enum Says {
    Yes,
    No,
    /// Nobody asks: it would have to say yes.
    Needed,
    /// Others would be asked, who are not asked now.
    WouldAsk(String),
}

impl Told {
    pub(super) fn new(line: impl Into<String>, says: Says) -> Self {
        Self { line: line.into(), says }
    }
}

impl Says {
    pub(super) fn of(identity: Option<&Identity>, holds: impl FnOnce(&Identity) -> bool) -> Self {
        match identity.map(holds) {
            Some(true) => Self::Yes,
            Some(false) => Self::No,
            None => Self::Needed,
        }
    }
}

impl Rules {
    /// Each rule with what it says, not only up to the first that refuses, and what becomes of it. Without an identity:
    /// what would be required.
    pub(crate) fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        let told = self.told(asked);
        let mut lines: Vec<String> = told.iter().map(Told::to_string).collect();
        if lines.is_empty() {
            lines.push("require nothing but to be known".to_owned());
        }
        if asked.identity.is_some() {
            lines.push(together(&told).to_owned());
        }
        lines
    }

    fn told(&self, asked: &Asked<'_>) -> Vec<Told> {
        let mut told = Vec::new();
        needs(&self.needs, "require", asked.identity, &mut told);
        for rule in self.methods.iter().filter(|rule| rule.methods.contain(asked.head.method)) {
            needs(&rule.needs, &format!("require for {}", rule.methods), asked.identity, &mut told);
        }
        self.explain_claims(asked, &mut told);
        told.extend(self.acl.iter().map(|acl| acl.explain(asked)));
        let action = self.actions.action(asked.head.method);
        told.extend(self.statements.iter().map(|all| statements(all, asked, &action)));
        told.extend(self.cedar.iter().map(|cedar| cedar.explain(asked, &action)));
        told
    }

    fn explain_claims(&self, asked: &Asked<'_>, told: &mut Vec<Told>) {
        for (name, value) in self.claims.iter() {
            let says = Says::of(asked.identity, |identity| claims::holds(identity, name, value));
            told.push(Told::new(format!("require claim {name} = {value}"), says));
        }
        for (param, claim) in self.params.iter() {
            let says = Says::of(asked.identity, |identity| claims::is_what_claim_says(asked, identity, param, claim));
            told.push(Told::new(format!("require {{{param}}} = claim {claim}"), says));
        }
    }
}

fn needs(needs: &Needs, start: &str, identity: Option<&Identity>, told: &mut Vec<Told>) {
    let mut compare = |line: String, needed: &[Box<str>], has: fn(&Identity) -> &[Box<str>], holds: bool| {
        let line = format!("{line} [{}]", needed.join(", "));
        told.push(match identity {
            Some(identity) => {
                let line = format!("{line}: identity has [{}]", has(identity).join(", "));
                Told::new(line, if holds { Says::Yes } else { Says::No })
            }
            None => Told::new(line, Says::Needed),
        });
    };
    let has_role = |roles: &[Box<str>]| identity.is_some_and(|identity| has_one_of(identity, roles));
    if !needs.roles().is_empty() {
        compare(format!("{start} one role of"), needs.roles(), Identity::roles, has_role(needs.roles()));
    }
    for (name, roles) in needs.permissions() {
        let line = format!("{start} permission {name}, which is given to");
        compare(line, roles, Identity::roles, has_role(roles));
    }
    if !needs.scopes().is_empty() {
        let holds = identity.is_some_and(|identity| needs.has_scopes(identity));
        compare(format!("{start} scopes"), needs.scopes(), Identity::scopes, holds);
    }
}

fn statements(statements: &Statements, asked: &Asked<'_>, action: &str) -> Told {
    let line = format!("statements: {action} on {}", asked.head.path);
    let Some(identity) = asked.identity else { return Told::new(line, Says::Needed) };
    match statements.rule(asked, identity, action) {
        Ruling::Allowed(name) => Told::new(format!("{line}: statement `{name}` allows it"), Says::Yes),
        Ruling::Denied(name) => Told::new(format!("{line}: statement `{name}` denies it"), Says::No),
        Ruling::Silent => Told::new(format!("{line}: no statement allows it"), Says::No),
        Ruling::Unreadable => Told::new(format!("{line}: the path has no single reading"), Says::No),
    }
}

fn together(told: &[Told]) -> &'static str {
    let any = |is: fn(&Says) -> bool| told.iter().any(|told| is(&told.says));
    match (any(|says| matches!(says, Says::No)), any(|says| matches!(says, Says::WouldAsk(_)))) {
        (true, _) => "together: denied",
        (false, true) => "together: allowed, unless those who would be asked deny",
        (false, false) => "together: allowed",
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, says } = self;
        match says {
            Says::Yes => write!(f, "{line}: allowed"),
            Says::No => write!(f, "{line}: denied"),
            Says::Needed => f.write_str(line),
            Says::WouldAsk(whom) => write!(f, "{line}: would ask {whom}"),
        }
    }
}
