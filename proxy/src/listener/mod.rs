//! How connections enter: accept, TLS, the hand-over to a worker, and the guard in front of Pingora's parser.
//!
//! A connection's way: [`serve`] accepts it on the caller's runtime and gives it to a worker in turn; there `connection`
//! does the TLS handshake, tells HTTP/1.1 from HTTP/2 by the first bytes, and runs Pingora's request loop over a stream
//! that is a `guard`. The guard follows HTTP/1.1 by [`framing`], which judges bytes; a [`Refusal`] ends the connection
//! before anything of that request reached Pingora. Each request is processed in the scope of its [`Connection`], which
//! [`current`] finds.

mod accept;
mod answer;
mod clock;
pub mod connection;
mod farewell;
pub mod framing;
mod guard;
mod outgoing;
mod preface;
pub mod refusal;
mod state;
pub mod tls;
mod transport;

pub use accept::{Handler, accept, bind, serve};
pub(crate) use clock::Alarm;
pub(crate) use connection::secure;
pub use connection::{Connection, TlsInfo, current};
pub(crate) use farewell::{Ending, Linger, farewell};
pub use refusal::{Refusal, RefusedIn, RefusedRequest, RefusedSink};
pub use state::{ListenerState, Permit};
pub(crate) use transport::Transport;
