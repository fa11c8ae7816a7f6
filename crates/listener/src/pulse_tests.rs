use super::*;

const TIMES: Times = Times { handshake: 10, head: 20, idle: 30, body: 40, write: 50 };

fn pulse(phase: Phase) -> Pulse {
    Pulse::new(TIMES, Weak::new(), phase)
}

/// The verdict `later` milliseconds after what the pulse knows.
fn verdict(pulse: &Pulse, later: u32) -> Option<Verdict> {
    pulse.verdict(Tick(pulse.since.load().0.wrapping_add(later)), Draining::No)
}

#[test]
fn each_phase_has_its_deadline() {
    use CloseReason as Reason;
    for (phase, allowed, then) in [
        (Phase::Handshake, 10, Verdict::Cut(Reason::HandshakeTimeout)),
        (Phase::Preface, 20, Verdict::Cut(Reason::HeadTimeout)),
        (Phase::Fresh, 20, Verdict::Tell(Reason::HeadTimeout)),
        (Phase::Head, 20, Verdict::Tell(Reason::HeadTimeout)),
        (Phase::Idle, 30, Verdict::Tell(Reason::Idle)),
        (Phase::Streams, 30, Verdict::Tell(Reason::Idle)),
        (Phase::Closing, 2000, Verdict::Cut(Reason::Done)),
    ] {
        let pulse = pulse(phase);
        assert_eq!(verdict(&pulse, allowed), None, "{phase:?}");
        assert_eq!(verdict(&pulse, allowed + 1), Some(then), "{phase:?}");
    }
    assert_eq!(verdict(&pulse(Phase::Active), 1_000_000), None);
}

#[test]
fn a_client_that_takes_nothing_is_cut_even_while_active() {
    let pulse = pulse(Phase::Active);
    pulse.write_blocked();
    assert_eq!(verdict(&pulse, 1000), Some(Verdict::Cut(CloseReason::WriteTimeout)));
    pulse.wrote();
    assert_eq!(verdict(&pulse, 1000), None);
}

#[test]
fn draining_ends_only_what_waits_for_a_request() {
    for (phase, ends) in [(Phase::Fresh, true), (Phase::Idle, true), (Phase::Head, false), (Phase::Active, false)] {
        let pulse = pulse(phase);
        let now = pulse.since.load();
        assert_eq!(pulse.verdict(now, Draining::Lingering), None, "{phase:?}");
        assert_eq!(pulse.verdict(now, Draining::Over).is_some(), ends, "{phase:?}");
    }
}

#[test]
fn a_stream_in_flight_keeps_http_2_open() {
    let pulse = pulse(Phase::Streams);
    pulse.stream_started();
    assert_eq!(verdict(&pulse, 1_000_000), None);
    pulse.stream_ended();
    assert_eq!(verdict(&pulse, 31), Some(Verdict::Tell(CloseReason::Idle)));
}

#[test]
fn a_request_body_that_stops_coming_cuts_http_2_and_nothing_else_does() {
    let pulse = pulse(Phase::Streams);
    pulse.stream_started();
    pulse.body_expected();
    assert_eq!(verdict(&pulse, 1000), Some(Verdict::Cut(CloseReason::BodyTimeout)));
    pulse.body_done();
    assert_eq!(verdict(&pulse, 1000), None);
}

#[test]
fn http_2_is_told_to_go_away_then_cut_when_quiet() {
    let pulse = pulse(Phase::Streams);
    pulse.stream_started();
    let now = pulse.since.load();
    assert_eq!(pulse.verdict(now, Draining::Lingering), Some(Verdict::Tell(CloseReason::Drained)));
    pulse.tell(CloseReason::Drained);
    assert_eq!(verdict(&pulse, 5000), None, "a stream is in flight");
    pulse.stream_ended();
    assert_eq!(verdict(&pulse, LINGER_MS), None);
    assert_eq!(verdict(&pulse, LINGER_MS + 10), Some(Verdict::Cut(CloseReason::Drained)));
}

#[test]
fn a_client_that_talks_on_after_goodbye_is_cut() {
    let pulse = pulse(Phase::Streams);
    pulse.tell(CloseReason::Idle);
    pulse.traffic.0.store(pulse.since.load().0.wrapping_add(CLOSING_MS), Relaxed);
    assert_eq!(verdict(&pulse, CLOSING_MS), None);
    assert_eq!(verdict(&pulse, CLOSING_MS + 1), Some(Verdict::Cut(CloseReason::Idle)));
}

#[test]
fn a_request_in_time_overrules_the_sweeper() {
    let pulse = pulse(Phase::Idle);
    pulse.tell(CloseReason::Idle);
    pulse.enter(Phase::Active);
    assert_eq!(pulse.told(), None);
}

#[test]
fn a_clock_that_is_read_late_is_no_timeout() {
    assert_eq!(Tick(5).since(Tick(9)), 0);
    assert_eq!(Tick(5).since(Tick(u32::MAX)), 6);
}
