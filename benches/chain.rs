//! What parts cost in this process.
fn main() {}
