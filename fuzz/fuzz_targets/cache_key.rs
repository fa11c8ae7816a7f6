//! Different requests never share a key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_cache::fuzz::key;

type Asked<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a [u8]>, bool);

/// The same for what HTTP takes for the same: hosts ignore case, ports of the scheme and blanks around a field.
fn meant<'a>((authority, path, query, field, tls): Asked<'a>) -> (String, &'a str, Option<&'a str>, Option<&'a [u8]>, bool) {
    let authority = authority.to_ascii_lowercase();
    let after = authority.rfind(']').map_or(0, |end| end + 1);
    let port = if tls { ":443" } else { ":80" };
    let last = authority[after..].rfind(':').map(|colon| authority.split_at(after + colon));
    let authority = match last {
        Some((host, given)) if given == port || given == ":" => host.to_owned(),
        _ => authority,
    };
    (authority, path, query, field.map(<[u8]>::trim_ascii), tls)
}

fuzz_target!(|two: (Asked<'_>, Asked<'_>)| {
    let of = |(authority, path, query, field, tls): Asked<'_>| key(authority, path, query, field, tls);
    if let (Some(one), Some(other)) = (of(two.0), of(two.1)) {
        assert_eq!(meant(two.0) == meant(two.1), one == other);
    }
});
