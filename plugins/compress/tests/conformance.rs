//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_compress::Compress, "../README.md");
