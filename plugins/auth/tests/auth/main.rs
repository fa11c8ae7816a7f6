//! The plugin in a gateway: YAML in, HTTP out.

mod attacks;
mod basic;
mod api_key;
mod cedar;
mod certificates;
mod deciding;
mod forwarding;
mod forward_auth;
mod fleet;
mod guard;
mod introspection;
mod issuing;
mod jwks;
mod jwt;
mod jwt_config;
mod paths;
mod policies;
mod revocation;
mod second_factor;
mod support;
