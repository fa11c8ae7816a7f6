//! Which version of a file this is: `ETag` and `Last-Modified` (RFC 9110 section 8.8).

use std::fs::Metadata;
use std::hash::Hasher;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use siphasher::sip128::{Hasher128, SipHasher13};
use tidegate_core::HeaderValue;

use crate::config::{Coding, EtagOf};

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) length: u64,
    modified: (i64, i64),
    /// When the inode changed. Nobody can set it back, unlike the time above.
    changed: (i64, i64),
    inode: u64,
}

impl Version {
    pub(crate) fn of(file: &Metadata) -> Self {
        Self {
            length: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            inode: file.ino(),
        }
    }

    /// Whether what is there `now` was written over it, and not only behind it: what was read before and what is read
    /// from then on are not of one version. Times of the inode don't count, which change when a name of it goes.
    pub(crate) fn is_overwritten(&self, now: &Self) -> bool {
        self.length == now.length && self.modified != now.modified
    }

    /// Whether it was made from an older state of `original`, by the second: many tools copy no more of a time.
    pub(crate) fn is_older_than(&self, original: &Self) -> bool {
        self.modified.0 < original.modified.0
    }
}

/// The validators of a representation.
#[derive(Debug, Clone)]
pub(crate) struct Validators {
    /// Strong, quotes included.
    pub(crate) etag: HeaderValue,
    /// To the second; `None` for a time that HTTP can't write.
    pub(crate) modified: Option<SystemTime>,
}

/// The last second that HTTP can write: that of the year 9999.
const LAST: u64 = 253_402_300_799;

impl Validators {
    /// Those of a version, as it is sent: each coding is a representation of its own. `now` is the time of day.
    pub(crate) fn of(version: &Version, coding: Option<Coding>, etag: EtagOf, now: SystemTime) -> Self {
        let seconds = u64::try_from(version.modified.0).ok().filter(|seconds| *seconds <= LAST);
        let modified = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        // Never later than the answer itself (RFC 9110 section 8.8.2.1).
        Self { etag: tag(version, coding, etag), modified: modified.map(|modified| modified.min(whole_seconds(now))) }
    }

    /// `Last-Modified`.
    pub(crate) fn last_modified(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(httpdate::fmt_http_date(self.modified?)).ok()
    }
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().min(LAST));
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A digest, for nobody is to know of inodes; one of 128 bits, so that no two versions meet.
fn tag(version: &Version, coding: Option<Coding>, of: EtagOf) -> HeaderValue {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(version.length);
    hasher.write_i64(version.modified.0);
    hasher.write_i64(version.modified.1);
    if of == EtagOf::File {
        hasher.write_i64(version.changed.0);
        hasher.write_i64(version.changed.1);
        hasher.write_u64(version.inode);
    }
    hasher.write_u8(coding.map_or(0, |coding| coding as u8 + 1));
    let mut tag = *b"\"................................\"";
    let digest = hasher.finish128().as_u128();
    for (at, byte) in tag.iter_mut().skip(1).take(32).enumerate() {
        let digit = (digest >> (4 * at)) as usize & 15;
        *byte = b"0123456789abcdef"[digit];
    }
    HeaderValue::from_bytes(&tag).unwrap_or_else(|_| unreachable!("digits and quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: Version = Version { length: 5, modified: (1_000, 7), changed: (2_000, 8), inode: 9 };

    fn tag_of(version: Version, coding: Option<Coding>, of: EtagOf) -> String {
        let validators = Validators::of(&version, coding, of, UNIX_EPOCH + Duration::from_secs(5_000));
        validators.etag.to_str().expect("visible").to_owned()
    }

    #[test]
    fn a_tag_is_strong_and_another_one_after_every_change() {
        let tag = tag_of(VERSION, None, EtagOf::File);
        assert!(tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        assert_eq!(tag, tag_of(VERSION, None, EtagOf::File));
        let others = [
            Version { length: 6, ..VERSION },
            Version { modified: (1_001, 7), ..VERSION },
            Version { modified: (1_000, 6), ..VERSION },
            Version { changed: (2_001, 8), ..VERSION },
            Version { changed: (2_000, 7), ..VERSION },
            Version { inode: 8, ..VERSION },
        ];
        for (index, other) in others.into_iter().enumerate() {
            assert_ne!(tag_of(other, None, EtagOf::File), tag, "{other:?}");
            assert_eq!(
                tag_of(other, None, EtagOf::Time) == tag_of(VERSION, None, EtagOf::Time),
                index > 2,
                "{other:?}"
            );
        }
        assert_ne!(tag_of(VERSION, Some(Coding::Gz), EtagOf::File), tag);
        assert_ne!(tag_of(VERSION, Some(Coding::Gz), EtagOf::File), tag_of(VERSION, Some(Coding::Br), EtagOf::File));
    }

    #[test]
    fn a_time_is_never_later_than_now_nor_one_that_can_not_be_written() {
        let last = |seconds: i64| {
            let version = Version { modified: (seconds, 999), ..VERSION };
            let now = UNIX_EPOCH + Duration::from_millis(5_000_500);
            Validators::of(&version, None, EtagOf::File, now)
                .last_modified()
                .map(|it| it.to_str().expect("text").to_owned())
        };
        assert_eq!(last(1_000).as_deref(), Some("Thu, 01 Jan 1970 00:16:40 GMT"));
        assert_eq!(last(9_999).as_deref(), Some("Thu, 01 Jan 1970 01:23:20 GMT"));
        assert_eq!(last(-1), None);
        assert_eq!(last(i64::MAX), None);
    }
}
