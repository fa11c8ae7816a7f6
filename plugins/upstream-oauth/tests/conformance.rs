//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_upstream_oauth::UpstreamOauth, "../README.md");
