//! The plugin in a gateway: YAML in, HTTP out.

mod api_key;
mod attacks;
mod basic;
mod cedar;
mod certificates;
mod deciding;
mod fleet;
mod forward_auth;
mod forwarding;
mod guard;
mod introspection;
mod issuing;
mod jwks;
mod jwt;
mod jwt_config;
mod oidc;
mod paths;
mod policies;
mod revocation;
mod second_factor;
mod support;
