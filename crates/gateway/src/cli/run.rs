//! `tidegate run`: threads, signals, exit code.

use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::unusable;
use crate::gateway::Gateway;
use crate::running::Running;
use crate::settings::{ServerConfig, section};
use crate::source::ConfigSource;

pub(super) fn run(gateway: Gateway, source: ConfigSource) -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info,pingora=warn")).init();
    let runtime = match runtime(&source) {
        Ok(runtime) => runtime,
        Err(error) => return unusable(&format!("the threads can't be started: {error}")),
    };
    let code = runtime.block_on(serve(gateway, source));
    // What is left in the runtime has been cut already.
    runtime.shutdown_background();
    code
}

/// As many threads as `server.threads` says. A configuration that can't be read is reported by the start.
fn runtime(source: &ConfigSource) -> std::io::Result<Runtime> {
    let mut errors = tidegate_core::ConfigErrors::default();
    let server = source.load().ok().and_then(|document| section(document.root(), "server", &mut errors));
    let server: ServerConfig = server.unwrap_or_default();
    match server.threads.count() {
        // One thread needs no queue that others can steal from.
        1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).thread_name("tidegate").enable_all().build(),
    }
}

async fn serve(gateway: Gateway, source: ConfigSource) -> ExitCode {
    // Before the start: a signal that comes during it must not end the process half-way.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return unusable(&format!("signals can't be handled: {error}")),
    };
    let running = match gateway.start(source).await {
        Ok(running) => running,
        Err(error) => return unusable(&error),
    };
    for (name, address) in running.addresses() {
        log::info!(listener = name.as_str(); "listening on {address}");
    }
    if let Some(admin) = running.admin_address() {
        log::info!("admin on http://{admin} (/metrics /healthz /readyz)");
    }
    signals.until_stop(&running).await;
    log::info!("stopping: waiting for requests in flight");
    tokio::select! {
        clean = running.shutdown() => match clean {
            true => {
                log::info!("stopped");
                ExitCode::SUCCESS
            }
            false => {
                log::error!("forced shutdown after timeout: requests in flight were cut");
                ExitCode::FAILURE
            }
        },
        () = signals.second_interrupt() => {
            log::warn!("stopped at once by a second SIGINT");
            ExitCode::FAILURE
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    /// Serves reloads and rotations until a signal says to stop.
    async fn until_stop(&mut self, running: &Running) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // The reload itself logs what became of it.
                _ = self.hangup.recv() => drop(running.reload_again().await),
                _ = self.user1.recv() => running.reopen_logs(),
            }
        }
    }

    async fn second_interrupt(&mut self) {
        // A stream that has ended must not count as a signal.
        if self.interrupt.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
