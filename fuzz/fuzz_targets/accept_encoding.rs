//! No `Accept-Encoding` makes the reader panic, and what it chooses is what a slow and simple reader chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_compress::accept::AcceptEncoding;
use tidegate_compress::algorithm::Algorithm;

#[path = "../../plugins/compress/src/accept/naive.rs"]
mod naive;

fuzz_target!(|input: (u8, &str)| {
    let (offered, value) = input;
    let offered: Vec<_> = Algorithm::ALL.into_iter().filter(|algorithm| offered & 1 << *algorithm as u8 != 0).collect();
    let names: Vec<_> = offered.iter().map(|algorithm| algorithm.token()).collect();
    let chosen = AcceptEncoding::parse(value.as_bytes()).choose(&offered).map(Algorithm::token);
    assert_eq!(chosen, naive::choose(value, &names), "{value:?} of {names:?}");
});
