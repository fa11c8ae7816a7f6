//! The `tidegate` binary: which router and which plugins, in which order. Everything else is in the libraries.

use std::process::ExitCode;

use tidegate::Gateway;
use tidegate_auth::Auth;
use tidegate_cache::Cache;
use tidegate_compress::Compress;
use tidegate_files::Files;
use tidegate_headers::Headers;
use tidegate_ratelimit::RateLimit;
use tidegate_routing::Routing;
use tidegate_upstream_oauth::UpstreamOauth;
use tidegate_validation::Validation;

/// Fewer cycles per allocation than the system's, and less memory kept after a burst.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Gateway::new()
        .router::<Routing>()
        // The order here is the order in which plugins see a request. Responses go back through it in reverse.
        .plugin::<RateLimit>()
        .plugin::<Auth>()
        .plugin::<Validation>()
        .plugin::<UpstreamOauth>()
        .plugin::<Headers>()
        .plugin::<Cache>()
        .plugin::<Compress>()
        .plugin::<Files>()
        .main() // tidegate run | check | explain | routes | cache | schema | completions | version
}
