//! Whole tables of routes, without a gateway.
