//! Which compressed sibling a client would rather have (RFC 9110 section 12.5.3).

use smallvec::SmallVec;
use tidegate_core::{HeaderMap, header};

use crate::config::Coding;
use crate::quality::{Weight, weighted};

/// Codings to be tried, the best first, before the file as it is.
pub(crate) type Ranked = SmallVec<[Coding; 3]>;

impl Coding {
    /// What siblings end in.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Coding::Zst => ".zst",
            Coding::Br => ".br",
            Coding::Gz => ".gz",
        }
    }

    /// `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Zst => "zstd",
            Coding::Br => "br",
            Coding::Gz => "gzip",
        }
    }

    fn is_called(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name()) || (self == Coding::Gz && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// Those of `offered` that the client takes and likes at least as well as no coding; of two that it likes as well, the
/// one that is offered first. A client that takes nothing at all gets the file as it is.
pub(crate) fn ranked(headers: &HeaderMap, offered: &[Coding]) -> Ranked {
    if offered.is_empty() || !headers.contains_key(header::ACCEPT_ENCODING) {
        return Ranked::new();
    }
    let weight = |is: &dyn Fn(&str) -> bool| -> Option<Weight> {
        weighted(headers, &header::ACCEPT_ENCODING).find(|(name, _)| is(name)).map(|(_, weight)| weight)
    };
    let any = weight(&|name| name == "*");
    // Taken where nothing is said of it, but then only for want of something better.
    let plain = weight(&|name| name.eq_ignore_ascii_case("identity")).unwrap_or(0);
    let liked = |coding: &Coding| weight(&|name| coding.is_called(name)).or(any).unwrap_or(0);
    let mut ranked: SmallVec<[(Weight, Coding); 3]> = offered.iter().map(|coding| (liked(coding), *coding)).collect();
    ranked.retain(|(weight, _)| *weight > 0 && *weight >= plain);
    // Stable: the order of those liked as well is that in which they are offered.
    ranked.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    ranked.into_iter().map(|(_, coding)| coding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_ranked_by_weight_and_then_by_the_order_in_which_they_are_offered() {
        use Coding::{Br, Gz, Zst};
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", &[Zst, Br, Gz][..]),
            ("gzip", &[Gz]),
            ("X-GZIP", &[Gz]),
            ("br;q=0.5, gzip;q=0.8", &[Gz, Br]),
            ("*", &[Zst, Br, Gz]),
            ("br;q=0, *", &[Zst, Gz]),
            ("*;q=0", &[]),
            ("*;q=0.1, gzip", &[Gz, Zst, Br]),
            ("identity", &[]),
            ("identity, gzip;q=0.5", &[]),
            ("identity;q=0.5, gzip;q=0.5, br;q=0.4", &[Gz]),
            ("identity;q=0, gzip;q=0.001", &[Gz]),
            ("gzip;q=0.001", &[Gz]),
            ("gzip;q=0", &[]),
            ("gzip;q=nonsense", &[]),
            ("", &[]),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accept.parse().expect("a value"))]);
            assert_eq!(ranked(&headers, &[Zst, Br, Gz]).as_slice(), expected, "{accept}");
        }
        assert!(ranked(&HeaderMap::new(), &[Zst, Br, Gz]).is_empty());
    }

    #[test]
    fn only_what_is_offered_is_chosen() {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, "gzip, br".parse().expect("a value"))]);
        assert_eq!(ranked(&headers, &[Coding::Gz]).as_slice(), [Coding::Gz]);
        assert!(ranked(&headers, &[]).is_empty());
    }
}
