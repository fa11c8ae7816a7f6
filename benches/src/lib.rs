//! What it costs. `benches/chain.rs` measures parts in this process; `compare/` starts whole proxies and compares
//! them in one run; `src/bin/bare_pingora.rs` is the floor.
