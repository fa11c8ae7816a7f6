//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_auth::Auth, "../README.md");
