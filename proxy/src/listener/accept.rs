//! The accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::server::ShutdownWatch;
use pingora_proxy::{HttpProxy, ProxyHttp};
use portcullis_config::model::Listener;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, listen, socket_with, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::connection::Service;
use super::refusal::{RefusedSink, connection_reason};
use super::state::{ListenerState, Permit};
use crate::workers::Workers;

/// Connections the system completes before they are accepted; it may cut this down to its own limit (somaxconn).
const BACKLOG: i32 = 4096;

/// Pause after the system refused to give a connection, typically for want of file descriptors: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Binds a listener's address, without waiting reads or accepts: made for [`serve`].
///
/// # Errors
/// With the listener's name and address in the message, above all when the port is in use.
pub fn bind(listener: &Listener) -> io::Result<std::net::TcpListener> {
    let address = listener.address;
    open(address).map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "not permitted (ports below 1024 need a privilege)".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => error.to_string(),
        };
        io::Error::new(
            error.kind(),
            format!(
                "listener {}: cannot listen on {address}: {message}",
                listener.name
            ),
        )
    })
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    // Else a restart would have to wait for the connections of the process before to be forgotten.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// What a listener does with its connections: a copy serves one of them.
pub trait Handler: Clone + Send + 'static {
    fn listener(&self) -> &Arc<ListenerState>;

    fn refused(&self) -> &dyn RefusedSink;

    /// Serves one connection until its end, and keeps its place until then. Runs on a worker.
    fn run(
        self,
        stream: std::net::TcpStream,
        peer: SocketAddr,
        permit: Permit,
    ) -> impl Future<Output = ()> + Send;
}

/// Accepts connections until `shutdown` turns true, and gives them to the workers in turn.
///
/// It then closes the socket and returns at once. Connections go on by themselves: those without a request in progress
/// are closed, the others after their present one (HTTP/2: after GOAWAY and the streams under way). [`ListenerState::open`]
/// and [`ListenerState::drained`] tell when all have ended. The sender of `shutdown` must be kept until then.
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn serve<SV>(
    socket: std::net::TcpListener,
    state: Arc<ListenerState>,
    workers: Arc<Workers>,
    proxy: Arc<HttpProxy<SV>>,
    refused: Arc<dyn RefusedSink>,
    shutdown: ShutdownWatch,
) -> io::Result<()>
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    let service = Service {
        listener: state,
        proxy,
        refused,
        shutdown: shutdown.clone(),
    };
    accept(socket, service, workers, shutdown).await
}

/// As [`serve`], for whatever is to be done with connections.
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn accept(
    socket: std::net::TcpListener,
    service: impl Handler,
    workers: Arc<Workers>,
    mut shutdown: ShutdownWatch,
) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    let mut pause = PAUSE_MIN;
    let mut turn = 0_usize;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|&down| down) => return Ok(()),
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE_MIN;
                turn = turn.wrapping_add(1);
                admit(&service, stream, peer, workers.handle(turn));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                let listener = &service.listener().config.name;
                tracing::error!(listener, %error, pause_ms = pause.as_millis() as u64, "cannot accept connections");
                // Still to be ended at once by a shutdown.
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = shutdown.wait_for(|&down| down) => return Ok(()),
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

fn admit(
    service: &impl Handler,
    stream: TcpStream,
    peer: SocketAddr,
    worker: &tokio::runtime::Handle,
) {
    let Some(permit) = service.listener().admit() else {
        service
            .refused()
            .connection_refused(service.listener(), connection_reason::LIMIT);
        return;
    };
    // Heads and bodies are gathered before they are written, so there is nothing for the system to wait for.
    let prepared = stream.set_nodelay(true).and_then(|()| stream.into_std());
    match prepared {
        // Without its registration here: the worker's reactor takes it over.
        Ok(stream) => drop(worker.spawn(service.clone().run(stream, peer, permit))),
        Err(error) => tracing::debug!(%peer, %error, "connection lost before it began"),
    }
}

/// Errors of the connection that was being accepted, not of accepting.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
