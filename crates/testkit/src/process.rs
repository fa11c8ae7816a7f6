//! Real programs that tests run: nginx, Redis, Python, the gateway's own binary.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::DEADLINE;

/// A program to be started on a free port, in a directory of its own.
pub struct ProgramBuilder {
    program: PathBuf,
    install: String,
    port: u16,
    dir: TempDir,
    command: Command,
}

/// The program `name`, which `package` brings where it is missing. Its arguments may use the port and the directory.
pub fn program(name: impl AsRef<Path>, package: &str) -> ProgramBuilder {
    let program = find(name.as_ref());
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(&program);
    command.current_dir(dir.path());
    ProgramBuilder { install: package.to_owned(), port: free_port(), dir, command, program }
}

impl ProgramBuilder {
    /// Lets it listen on `port`, where another one did before.
    #[must_use]
    pub fn on(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The port it is to listen on; free just now.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its directory, which goes with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Writes a file into its directory.
    #[must_use]
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.dir.path().join(name), text).expect("the file is written");
        self
    }

    /// Starts it, and waits until its port accepts connections. Panics with what it printed when it ends before.
    pub async fn start(self) -> Program {
        let mut program = self.spawn();
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(program.addr()).await.is_err() {
            if let Some(status) = program.exited() {
                panic!("{program:?} ended with {status}:\n{}", program.output());
            }
            assert!(begun.elapsed() < DEADLINE, "{program:?} does not listen:\n{}", program.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        program
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(mut self) -> Program {
        let output = self.dir.path().join("output");
        let file = File::create(&output).expect("a file for its output");
        let again = file.try_clone().expect("the same file");
        self.command.stdin(Stdio::null()).stdout(file).stderr(again);
        let child = self.command.spawn().unwrap_or_else(|error| {
            panic!("{} can't be run ({error}): install {}, or run `make test`", self.program.display(), self.install)
        });
        Program { child, port: self.port, dir: self.dir, output, name: self.program }
    }
}

impl std::fmt::Debug for ProgramBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.display())
    }
}

/// A program that runs until this is dropped.
pub struct Program {
    child: Child,
    port: u16,
    dir: TempDir,
    output: PathBuf,
    name: PathBuf,
}

impl Program {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed until now, both streams.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// How it ended; `None` while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its own child")
    }

    /// Waits until it has ended by itself; panics with what it printed when it doesn't.
    pub async fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "{self:?} does not end:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Int => rustix::process::Signal::INT,
            Signal::Hup => rustix::process::Signal::HUP,
            Signal::Usr1 => rustix::process::Signal::USR1,
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Continue => rustix::process::Signal::CONT,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        rustix::process::kill_process(id, signal).expect("its own child");
    }

    /// Its resident memory in bytes, as the kernel counts it now.
    pub fn resident_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number of kB") * 1024
    }
}

/// What a [`Program`] can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGSTOP: it does nothing from then on; its sockets stay open.
    Stop,
    /// SIGCONT: it goes on.
    Continue,
    /// SIGKILL.
    Kill,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on port {}", self.name.display(), self.port)
    }
}

/// Where Debian keeps servers is not on every user's `PATH`.
fn find(name: &Path) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = std::env::split_paths(&path).any(|dir| dir.join(name).exists());
    let system = ["/usr/sbin", "/sbin"].map(|dir| Path::new(dir).join(name));
    system.into_iter().find(|file| !known && file.exists()).unwrap_or_else(|| name.to_owned())
}

/// A port that nobody has just now, and that this process gives out once.
///
/// There is no better way to give a port to a program that can't take an open socket. It is below those that the kernel
/// gives to sockets that ask for any (32768 and up), or another test's upstream would take it before the program does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other test processes begin elsewhere.
    let begin = (std::process::id() % 1000) as u16 * 20;
    loop {
        let port = 12_000 + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_started_heard_signalled_and_ended() {
        let sh =
            program("sh", "dash").args(["-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"]);
        let mut sh = sh.spawn();
        crate::wait_until("it is up", || sh.output().contains("up")).await;
        assert!(sh.resident_memory() > 0);
        sh.signal(Signal::Term);
        assert_eq!(sh.wait().await.code(), Some(3));
        assert_eq!(sh.output(), "up\nbye\n");
    }

    #[test]
    fn free_ports_are_different_and_not_the_kernel_s_to_give() {
        let ports: std::collections::BTreeSet<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| (12_000..32_000).contains(port)), "{ports:?}");
    }

    #[test]
    #[should_panic(expected = "install the-package")]
    fn a_program_that_is_missing_is_named_with_its_package() {
        drop(program("surely-no-such-program", "the-package").spawn());
    }
}
