//! The rules that every router keeps to.

tidegate_testkit::router_conformance!(tidegate_routing::Routing, "../README.md");
