//! The end of a connection that needs more than a close: TLS wants to say that nothing was cut off, and a client may still
//! be sending.
//!
//! Closing a socket with unread bytes in it resets the connection, and the reset may destroy the response on its way (RFC
//! 9112, 9.6). So the writing side is closed first, and what comes is thrown away for a while.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::transport::Transport;

/// To get the last bytes out.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// To wait for the client's end.
const LINGER_MAX: Duration = Duration::from_secs(2);

/// Thrown away at most, bytes.
const LINGER_BYTES_MAX: u64 = 16 << 20;

/// Whether the client may be sending what nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linger {
    Yes,
    No,
}

/// How TLS is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With its own word that this was all.
    Orderly,
    /// Without: a response may have been cut off, and the client has to know (RFC 9112, 9.8).
    CutOff,
}

/// Sends `rest`, ends this side, and waits a bounded while for the other where it may be sending. `_until_then` is kept as
/// long.
pub(crate) async fn farewell(
    mut transport: Transport,
    rest: Bytes,
    ending: Ending,
    linger: Linger,
    _until_then: impl Send,
) {
    let sent = timeout(WRITE_MAX, async {
        transport.write_all(&rest).await?;
        transport.flush().await?;
        match ending {
            Ending::Orderly => transport.shutdown().await,
            Ending::CutOff => transport.tcp().shutdown().await,
        }
    });
    if !matches!(sent.await, Ok(Ok(()))) || linger == Linger::No {
        return;
    }
    let mut unread = transport.take(LINGER_BYTES_MAX);
    // However it ends, the connection is closed now.
    let _ = timeout(
        LINGER_MAX,
        tokio::io::copy(&mut unread, &mut tokio::io::sink()),
    )
    .await;
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// The response is at the server still, for want of room at the client, and the client sends before it reads.
    #[tokio::test]
    async fn a_response_survives_a_client_that_goes_on_sending() -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(16 << 10)?;
        let mut client = socket.connect(listener.local_addr()?).await?;
        let (mut server, _) = listener.accept().await?;
        let response = vec![b'y'; 200_000];
        server.write_all(&response).await?;
        client.write_all(b"not read by anybody").await?;
        server.readable().await?;
        let rest = Bytes::from_static(b"the end");
        let ending = tokio::spawn(farewell(
            Transport::Tcp(server),
            rest,
            Ending::Orderly,
            Linger::Yes,
            (),
        ));
        for _ in 0..10 {
            client.write_all(&[b'x'; 100_000]).await?;
        }
        let mut read = Vec::new();
        client.read_to_end(&mut read).await?;
        assert!(
            read == [&response[..], b"the end"].concat(),
            "{} bytes",
            read.len()
        );
        drop(client);
        ending.await?;
        Ok(())
    }
}
