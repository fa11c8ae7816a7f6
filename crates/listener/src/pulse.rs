//! One connection as the sweeper sees it: what it is waiting for, and since when.
//!
//! There is no timer per connection or request. The connection's own task notes in atomics what it begins to wait
//! for; the sweeper looks at every connection twice a second and ends those that waited too long. A deadline is
//! thus kept up to half a second late, never early.

use std::sync::Weak;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::events::CloseReason;
use crate::socket::Socket;

/// A point in time in milliseconds, from an arbitrary start; it wraps around after 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u32);

impl Tick {
    /// The kernel's coarse clock: 4 ms exact, and a tenth of the cost of the fine one.
    pub(crate) fn now() -> Self {
        #[cfg(target_os = "linux")]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::MonotonicCoarse;
        #[cfg(not(target_os = "linux"))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(CLOCK);
        // Wrapping is meant: only differences count.
        Self((now.tv_sec as u32).wrapping_mul(1000).wrapping_add((now.tv_nsec / 1_000_000) as u32))
    }

    /// The milliseconds from `earlier` until this. Another thread may have read its clock after ours: that is 0.
    pub(crate) fn since(self, earlier: Self) -> u32 {
        let passed = self.0.wrapping_sub(earlier.0);
        if passed > u32::MAX / 2 { 0 } else { passed }
    }
}

/// A [`Tick`] that is written by one task and read by another.
#[derive(Debug)]
struct AtomicTick(AtomicU32);

impl AtomicTick {
    fn load(&self) -> Tick {
        Tick(self.0.load(Relaxed))
    }

    fn set_now(&self) {
        self.0.store(Tick::now().0, Relaxed);
    }
}

/// The deadlines of a listener, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) handshake: u32,
    pub(crate) head: u32,
    pub(crate) idle: u32,
    pub(crate) body: u32,
    pub(crate) write: u32,
}

/// How long a connection may stay that has nothing left to do: a request may be on its way already.
pub(crate) const LINGER: Duration = Duration::from_millis(900);
const LINGER_MS: u32 = 900;
/// How long the last bytes of a connection that we close may take.
const CLOSING_MS: u32 = 2000;

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The TLS handshake.
    Handshake,
    /// The preface of HTTP/2.
    Preface,
    /// The first byte.
    Fresh,
    /// The rest of a request head.
    Head,
    /// The gateway: a request is being served, or the connection became a WebSocket.
    Active,
    /// The first byte of another request.
    Idle,
    /// Anything on an HTTP/2 connection.
    Streams,
    /// The client to take our last words.
    Closing,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Handshake,
        Self::Preface,
        Self::Fresh,
        Self::Head,
        Self::Active,
        Self::Idle,
        Self::Streams,
        Self::Closing,
    ];
}

/// How far the gateway's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draining {
    No,
    /// Idle connections may still send the request that is on its way.
    Lingering,
    /// They had their chance.
    Over,
}

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its task is to end it in good manners.
    Tell(CloseReason),
    /// The socket is to be shut.
    Cut(CloseReason),
}

/// No [`CloseReason`].
const NONE: u8 = u8::MAX;

#[derive(Debug)]
pub(crate) struct Pulse {
    times: Times,
    /// Weak, for requests may outlive the connection, and must not keep the descriptor open.
    socket: Weak<Socket>,
    phase: AtomicU8,
    /// When the phase began; on HTTP/2, when the last stream ended or the client was told to go away.
    since: AtomicTick,
    /// When a write first found no room, and none went through since. 0: no write waits.
    blocked: AtomicU32,
    /// When bytes last went through on HTTP/2.
    traffic: AtomicTick,
    /// HTTP/2 streams in flight.
    streams: AtomicU32,
    /// Of these, how many have a request body that the gateway waits for.
    bodies: AtomicU32,
    /// Why the connection is to end.
    end: AtomicU8,
    waker: AtomicWaker,
}

impl Pulse {
    pub(crate) fn new(times: Times, socket: Weak<Socket>, phase: Phase) -> Self {
        let now = || AtomicTick(AtomicU32::new(Tick::now().0));
        Self {
            times,
            socket,
            phase: AtomicU8::new(phase as u8),
            since: now(),
            blocked: AtomicU32::new(0),
            traffic: now(),
            streams: AtomicU32::new(0),
            bodies: AtomicU32::new(0),
            end: AtomicU8::new(NONE),
            waker: AtomicWaker::new(),
        }
    }

    /// The connection begins to wait for something else.
    pub(crate) fn enter(&self, phase: Phase) {
        if phase == Phase::Active {
            // A request that came just in time overrules the sweeper; no deadline, so no clock.
            self.end.store(NONE, Relaxed);
        } else {
            self.since.set_now();
            self.traffic.set_now();
        }
        self.phase.store(phase as u8, Relaxed);
    }

    /// The first bytes of a head are here. On a new connection its time began with the connection.
    pub(crate) fn begin_head(&self) {
        match self.phase() {
            Phase::Fresh => self.phase.store(Phase::Head as u8, Relaxed),
            Phase::Head => {}
            _ => self.enter(Phase::Head),
        }
    }

    fn phase(&self) -> Phase {
        let phase = usize::from(self.phase.load(Relaxed));
        Phase::ALL.get(phase).copied().unwrap_or(Phase::Closing)
    }

    /// A write found no room.
    pub(crate) fn write_blocked(&self) {
        if self.blocked.load(Relaxed) == 0 {
            self.blocked.store(Tick::now().0 | 1, Relaxed);
        }
    }

    /// Bytes went out.
    pub(crate) fn wrote(&self) {
        if self.blocked.load(Relaxed) != 0 {
            self.blocked.store(0, Relaxed);
        }
        self.moved();
    }

    /// Bytes went one way or the other.
    pub(crate) fn moved(&self) {
        if self.phase.load(Relaxed) == Phase::Streams as u8 {
            self.traffic.set_now();
        }
    }

    pub(crate) fn stream_started(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    pub(crate) fn stream_ended(&self) {
        // The clock first: the sweeper must not see no streams and the time of the last but one.
        self.since.set_now();
        self.streams.fetch_sub(1, Relaxed);
    }

    pub(crate) fn body_expected(&self) {
        self.bodies.fetch_add(1, Relaxed);
    }

    pub(crate) fn body_done(&self) {
        self.bodies.fetch_sub(1, Relaxed);
    }

    /// Asks the connection's task to end it.
    pub(crate) fn tell(&self, reason: CloseReason) {
        self.since.set_now();
        self.end.store(reason as u8, Relaxed);
        self.waker.wake();
    }

    /// Notes why the connection is about to end.
    pub(crate) fn ending(&self, reason: CloseReason) {
        self.end.store(reason as u8, Relaxed);
    }

    /// Shuts the socket, whatever the connection's task is doing.
    pub(crate) fn cut(&self, reason: CloseReason) {
        if let Some(socket) = self.socket.upgrade() {
            self.end.store(reason as u8, Relaxed);
            socket.cut();
        }
        self.waker.wake();
    }

    /// Why the connection was told to end.
    pub(crate) fn told(&self) -> Option<CloseReason> {
        match self.end.load(Relaxed) {
            NONE => None,
            reason => Some(CloseReason::from_u8(reason)),
        }
    }

    /// The same, to be awaited.
    pub(crate) fn poll_told(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.waker.register(cx.waker());
        self.told().map_or(Poll::Pending, Poll::Ready)
    }

    /// Why the connection ended.
    pub(crate) fn reason(&self) -> CloseReason {
        self.told().unwrap_or(CloseReason::Done)
    }

    pub(crate) fn act(&self, verdict: Verdict) {
        match verdict {
            Verdict::Tell(reason) => self.tell(reason),
            Verdict::Cut(reason) => self.cut(reason),
        }
    }

    /// Whether it waited too long.
    pub(crate) fn verdict(&self, now: Tick, draining: Draining) -> Option<Verdict> {
        use Verdict::{Cut, Tell};
        let blocked = self.blocked.load(Relaxed);
        if blocked != 0 && now.since(Tick(blocked)) > self.times.write {
            return Some(Cut(CloseReason::WriteTimeout));
        }
        let waited = now.since(self.since.load());
        let late = |allowed: u32, verdict: Verdict| (waited > allowed).then_some(verdict);
        let drained = (draining == Draining::Over).then_some(Tell(CloseReason::Drained));
        match self.phase() {
            Phase::Handshake => late(self.times.handshake, Cut(CloseReason::HandshakeTimeout)),
            Phase::Preface => late(self.times.head, Cut(CloseReason::HeadTimeout)),
            Phase::Head => late(self.times.head, Tell(CloseReason::HeadTimeout)),
            Phase::Fresh => drained.or(late(self.times.head, Tell(CloseReason::HeadTimeout))),
            Phase::Idle => drained.or(late(self.times.idle, Tell(CloseReason::Idle))),
            Phase::Closing => late(CLOSING_MS, Cut(self.reason())),
            Phase::Active => None,
            Phase::Streams => self.streams_verdict(now, waited, draining),
        }
    }

    /// HTTP/2 is told to go away first (GOAWAY). A peer that is dead or deaf is cut.
    fn streams_verdict(&self, now: Tick, waited: u32, draining: Draining) -> Option<Verdict> {
        let quiet = now.since(self.traffic.load());
        let idle = self.streams.load(Relaxed) == 0;
        if !idle && self.bodies.load(Relaxed) > 0 && quiet > self.times.body {
            return Some(Verdict::Cut(CloseReason::BodyTimeout));
        }
        match self.told() {
            Some(reason) => {
                let over = waited.min(quiet) > LINGER_MS || waited > CLOSING_MS;
                (idle && over).then_some(Verdict::Cut(reason))
            }
            None if draining != Draining::No => Some(Verdict::Tell(CloseReason::Drained)),
            None => (idle && waited > self.times.idle).then_some(Verdict::Tell(CloseReason::Idle)),
        }
    }
}

#[cfg(test)]
#[path = "pulse_tests.rs"]
mod tests;
