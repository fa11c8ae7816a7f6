//! Days that have 23, 24, 25, 48 and no hours.

use jiff::civil::DateTime;

use super::*;
use crate::algorithm::Calendar;

const HOUR: Micros = 3_600_000_000;

/// Zones whose clocks change at two and three o'clock, at midnight, a minute after it, across it, by half an hour, and
/// by a whole day, so that one day is left out and another comes twice.
const ZONES: [(&str, &str); 7] = [
    ("Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Havana", "CST5CDT,M3.2.0/0,M11.1.0/1"),
    ("Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24"),
    ("St John's before 2011", "NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01"),
    ("Toronto in 1919", "EST5EDT,M3.5.0/23:30,M10.5.0/0:30"),
    ("Lord Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"),
    ("a date line that moves", "<-11>11<+13>-13,J100/0,J200/24"),
];

fn calendar(period: Period, zone: TimeZone) -> Calendar {
    match Rule::calendar(10, period, zone).unwrap().shape {
        Shape::Calendar(calendar) => calendar,
        shape => panic!("{shape:?}"),
    }
}

fn zone(name: &str) -> TimeZone {
    let posix = ZONES.iter().find(|zone| zone.0 == name).map(|zone| zone.1).unwrap();
    TimeZone::posix(posix).unwrap()
}

fn micros(zone: &TimeZone, civil: &str) -> Micros {
    let moment = civil.parse::<DateTime>().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
    u64::try_from(moment.as_microsecond()).unwrap()
}

#[test]
fn windows_begin_at_the_midnight_of_their_zone() {
    let window = |period, at| calendar(period, berlin()).bounds(micros(&berlin(), at));
    let between = |begin, end| (micros(&berlin(), begin), micros(&berlin(), end));

    assert_eq!(window(Period::Day, "2026-11-21T00:00"), between("2026-11-21T00:00", "2026-11-22T00:00"));
    assert_eq!(window(Period::Day, "2026-11-21T23:59"), between("2026-11-21T00:00", "2026-11-22T00:00"));
    assert_eq!(window(Period::Week, "2026-11-22T23:59"), between("2026-11-16T00:00", "2026-11-23T00:00"));
    assert_eq!(window(Period::Week, "2026-11-23T00:00"), between("2026-11-23T00:00", "2026-11-30T00:00"));
    assert_eq!(window(Period::Month, "2026-12-31T23:59"), between("2026-12-01T00:00", "2027-01-01T00:00"));
    assert_eq!(window(Period::Month, "2028-02-29T12:00"), between("2028-02-01T00:00", "2028-03-01T00:00"));
    // 2026 in Berlin begins an hour before it does in UTC.
    assert_eq!(window(Period::Month, "2026-01-01T00:00").0, START - HOUR);
}

#[test]
fn a_day_is_as_long_as_the_clocks_make_it() {
    let hours = |name, at| {
        let (begin, end) = calendar(Period::Day, zone(name)).bounds(micros(&zone(name), at));
        (end - begin) / HOUR
    };

    assert_eq!(hours("Berlin", "2026-03-28T12:00"), 24);
    assert_eq!(hours("Berlin", "2026-03-29T12:00"), 23);
    assert_eq!(hours("Berlin", "2026-10-25T12:00"), 25);
    assert_eq!(hours("Havana", "2026-03-08T12:00"), 23);
    assert_eq!(hours("Havana", "2026-11-01T12:00"), 25);
    assert_eq!(hours("Cairo", "2026-04-24T12:00"), 23);
    assert_eq!(hours("Cairo", "2026-10-29T12:00"), 25);
    assert_eq!(hours("a date line that moves", "2026-07-19T12:00"), 48);
}

#[test]
fn every_moment_lies_in_its_window_and_windows_meet() {
    for (name, posix) in ZONES {
        for period in [Period::Day, Period::Week, Period::Month] {
            let kept = calendar(period, TimeZone::posix(posix).unwrap());
            let mut last = kept.bounds(START);
            for quarter in 0..366 * 24 * 4 {
                let wall = START + quarter * HOUR / 4 + quarter % 60;
                let bounds = kept.bounds(wall);
                assert!(bounds.0 <= wall && wall < bounds.1, "{name} {period:?} {wall} {bounds:?}");
                assert!(bounds == last || bounds.0 == last.1, "{name} {period:?} {wall} {bounds:?} after {last:?}");
                last = bounds;
            }
        }
    }
}

#[test]
fn what_is_kept_is_what_would_be_computed() {
    for (_, posix) in ZONES {
        for period in [Period::Day, Period::Week, Period::Month] {
            let kept = calendar(period, TimeZone::posix(posix).unwrap());
            // There and back: the window kept is now a later one, now an earlier one.
            for step in (0..366 * 2).chain((0..366 * 2).rev()) {
                let wall = START + step * 11 * HOUR;
                let fresh = calendar(period, TimeZone::posix(posix).unwrap());
                assert_eq!(kept.bounds(wall), fresh.bounds(wall), "{posix} {period:?} {wall}");
            }
        }
    }
}

#[test]
fn where_clocks_change_across_midnight_a_moment_may_belong_to_a_neighbour() {
    let toronto = zone("Toronto in 1919");
    let day = |wall| calendar(Period::Day, toronto.clone()).bounds(wall);
    let noon = |at| day(micros(&toronto, at));

    // From 23:30 to 0:30: by its date 0:45 is the next day, which begins at 1:00.
    let at_0_45 = micros(&toronto, "2026-03-30T01:00") - HOUR / 4;
    assert_eq!(day(at_0_45), noon("2026-03-29T12:00"));
    assert_eq!(day(at_0_45).1, noon("2026-03-30T12:00").0);
    // From 0:30 back to 23:30: the day had begun, and goes on.
    let at_23_45_again = micros(&toronto, "2026-10-25T00:00") + HOUR * 3 / 4;
    assert_eq!(day(at_23_45_again), noon("2026-10-25T12:00"));
}

#[test]
fn no_clock_is_beyond_the_calendar() {
    for period in [Period::Day, Period::Week, Period::Month] {
        for wall in [0, 1, (1 << 52) - 1, u64::MAX / 4] {
            let (begin, end) = calendar(period, zone("Havana")).bounds(wall);
            assert!(begin <= wall && wall < end, "{period:?} {wall}");
        }
    }
}
