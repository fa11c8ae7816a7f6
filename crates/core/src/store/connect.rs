//! One connection to one server.

use std::convert::Infallible;
use std::io;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// How many commands may wait for the task that writes them. It writes all that wait at once.
const QUEUE: usize = 1024;

/// Ends a task when it is dropped.
pub(super) struct EndOnDrop(pub AbortHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection that many commands share.
pub(super) struct Lane {
    pub connection: MultiplexedConnection,
    /// Reads and writes. When it ends, every command in flight fails at once.
    pub driver: EndOnDrop,
    /// Ends when the driver does: the server has closed the connection.
    pub closed: oneshot::Receiver<Infallible>,
}

/// Connects and logs in. Has no deadline of its own.
pub(super) async fn connect(server: &ConnectionInfo) -> Result<Lane, RedisError> {
    match server.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            log_in(server, stream).await
        }
        ConnectionAddr::Unix(path) => log_in(server, UnixStream::connect(path).await?).await,
        _ => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
    }
}

async fn log_in<S>(server: &ConnectionInfo, stream: S) -> Result<Lane, RedisError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let login = server.redis_settings().clone().set_lib_name("tidegate", env!("CARGO_PKG_VERSION"));
    let (connection, driver) = MultiplexedConnection::new_with_config(&login, stream, settings()).await?;
    let (open, closed) = oneshot::channel();
    let driver = async move {
        driver.await;
        drop(open);
    };
    Ok(Lane { connection, driver: EndOnDrop(tokio::spawn(driver).abort_handle()), closed })
}

/// Callers have deadlines of their own, which are shorter.
pub(super) fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None).set_pipeline_buffer_size(QUEUE)
}
