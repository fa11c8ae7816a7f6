//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_ratelimit::RateLimit, "../README.md");
