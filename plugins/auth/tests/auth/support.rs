//! What tests here have in common: tokens made by hand, gateways with the plugin.

#![allow(dead_code)]

use tidegate_auth::Auth;
use tidegate_testkit::{GatewayBuilder, gateway};

/// A gateway with the kit's router and this plugin.
pub(crate) fn with_auth() -> GatewayBuilder {
    gateway().plugin::<Auth>()
}
