//! What serves a route, from its configuration.

use std::sync::Arc;

use http::HeaderName;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, RawConfig, Serve, Split, SplitArm, StickBy};

use crate::config::{RouteConfig, SplitArmConfig, StickyConfig};
use crate::redirect::Redirect;
use crate::reply::Fixed;

/// What serves a route, in the API's form and in words.
pub(crate) struct Served {
    pub(crate) by: Serve,
    pub(crate) words: String,
    /// The path parameters it uses, and where it says so.
    pub(crate) params: Vec<(Box<str>, &'static str)>,
}

const CHOICES: &str = "`upstream`, `split`, `redirect`, `reply` and `endpoint`";

/// Errors carry paths relative to the route.
pub(crate) fn served(route: &RouteConfig) -> Result<Served, ConfigErrors> {
    let given = [
        ("upstream", route.upstream.is_some()),
        ("split", route.split.is_some()),
        ("redirect", route.redirect.is_some()),
        ("reply", route.reply.is_some()),
        ("endpoint", route.endpoint.is_some()),
    ];
    let given: Vec<_> = given.iter().filter(|(_, there)| *there).map(|(key, _)| *key).collect();
    let one = match given.as_slice() {
        [one] => *one,
        [] => return Err(ConfigError::at("", format!("nothing serves the route: it needs one of {CHOICES}")).into()),
        [_, second, ..] => {
            let message = format!("a route is served by one of {CHOICES}, and this one has {}", given.join(" and "));
            return Err(ConfigError::at(*second, message).into());
        }
    };
    if one != "split" && !route.sticky.is_empty() {
        return Err(ConfigError::at("sticky", "there is no `split` to stick to a side of").into());
    }
    if matches!(one, "redirect" | "reply") && route.rewrite.is_some() {
        return Err(ConfigError::at(
            "rewrite",
            format!("a {one} has no upstream that would see the rewritten request"),
        )
        .into());
    }
    by(route)
}

fn by(route: &RouteConfig) -> Result<Served, ConfigErrors> {
    if let Some(name) = &route.upstream {
        return Ok(plain(Serve::Upstream(name.clone()), format!("the upstream {name}")));
    }
    if let Some(arms) = &route.split {
        return split(arms, &route.sticky);
    }
    if let Some(config) = &route.redirect {
        let redirect = Redirect::new(config).map_err(|error| error.under(&"redirect".into()))?;
        let words = format!("a redirect ({}) to {}", redirect.status().as_u16(), redirect.template());
        let params = redirect.template().params().map(|name| (name.into(), "redirect")).collect();
        return Ok(Served { by: Serve::Here(Arc::new(redirect)), words, params });
    }
    if let Some(config) = &route.reply {
        let fixed = Fixed::new(config).map_err(|errors| errors.under(&"reply".into()))?;
        let words = format!("a fixed reply ({})", fixed.status().as_u16());
        return Ok(plain(Serve::Here(Arc::new(fixed)), words));
    }
    let mut endpoints = route.endpoint.iter().flatten();
    match (endpoints.next(), endpoints.next()) {
        (Some((name, config)), None) => {
            // `endpoint: { files: }` has nothing to say.
            let config = if config.is_null() { RawConfig::empty(config.path()) } else { config.clone() };
            Ok(plain(Serve::Endpoint(name.clone(), config), format!("the endpoint {name}")))
        }
        _ => {
            Err(ConfigError::at("endpoint", "it names exactly one endpoint, as in { files: { root: /srv/www } }")
                .into())
        }
    }
}

fn plain(by: Serve, words: String) -> Served {
    Served { by, words, params: Vec::new() }
}

fn split(arms: &[SplitArmConfig], sticky: &[StickyConfig]) -> Result<Served, ConfigErrors> {
    let (at, mut errors) = (ConfigPath::from("split"), ConfigErrors::new());
    for (index, arm) in arms.iter().enumerate() {
        if arms.iter().take(index).any(|earlier| earlier.upstream == arm.upstream) {
            let message = format!("`{}` is in this split already; add the weights up", arm.upstream);
            errors.push(ConfigError::at(at.index(index).key("upstream"), message));
        }
    }
    if arms.iter().all(|arm| arm.weight == 0) {
        errors.push(ConfigError::at(at, "all weights are 0, so nobody could be served"));
    }
    let sticky = sticky
        .iter()
        .enumerate()
        .map(|(index, by)| stick_by(by).map_err(|error| error.under(&ConfigPath::from("sticky").index(index))));
    let stick_by: Vec<_> = sticky.filter_map(|by| errors.collect(by)).collect();
    let words: Vec<_> = arms.iter().map(|arm| format!("{} ({})", arm.upstream, arm.weight)).collect();
    let words = match stick_by.is_empty() {
        true => format!("one of the upstreams, by weight: {}", words.join(", ")),
        false => format!("one of the upstreams, by weight and always the same for a user: {}", words.join(", ")),
    };
    let arms = arms.iter().map(|arm| SplitArm { upstream: arm.upstream.clone(), weight: arm.weight }).collect();
    errors.into_result(plain(Serve::Split(Split { arms, stick_by }), words))
}

fn stick_by(config: &StickyConfig) -> Result<StickBy, ConfigError> {
    Ok(match config {
        StickyConfig::Header(name) => StickBy::Header(
            name.parse::<HeaderName>()
                .map_err(|_| ConfigError::at("header", format!("`{name}` is not the name of a header field")))?,
        ),
        StickyConfig::Cookie(name) => StickBy::Cookie(name.clone()),
        StickyConfig::Identity => StickBy::Identity,
        StickyConfig::Client => StickBy::Client,
    })
}
