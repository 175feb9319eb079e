//! Bytes on their way to a client.
//!
//! A response head waits here for the first piece of its body, so that both leave in one packet and one TLS record; and
//! a client that takes nothing for too long is given up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::clock::Alarm;

/// A client that takes no byte for this long is gone. (An HTTP/2 client may hold back one stream by its window; that is not
/// seen here.)
const WRITE_STALL_MAX: Duration = Duration::from_secs(60);

/// Held at most, bytes.
const HELD_BYTES_MAX: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Outgoing {
    held: BytesMut,
    stall_max: Duration,
    stalled_since: Option<Instant>,
    alarm: Alarm,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::with_stall_max(WRITE_STALL_MAX)
    }
}

impl Outgoing {
    fn with_stall_max(stall_max: Duration) -> Self {
        Self {
            held: BytesMut::new(),
            stall_max,
            stalled_since: None,
            alarm: Alarm::default(),
        }
    }

    /// Takes as much of `data` as there is room for, at least a byte, to be sent with what follows.
    pub(super) fn poll_hold(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.held.len() >= HELD_BYTES_MAX {
            ready!(self.poll_drain(cx, stream))?;
        }
        let taken = data.len().min(HELD_BYTES_MAX - self.held.len());
        self.held.extend_from_slice(&data[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Sends `data`, after what is held.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.held.is_empty() {
            let polled = Pin::new(stream).poll_write(cx, data);
            return self.watch(cx, polled);
        }
        let taken = ready!(self.poll_hold(cx, stream, data))?;
        // Pending is no matter: the bytes are held, and the task is woken to go on with them.
        if let Poll::Ready(Err(error)) = self.poll_drain(cx, stream) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx, stream))?;
        let polled = Pin::new(stream).poll_write_vectored(cx, data);
        self.watch(cx, polled)
    }

    /// Sends what is held.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let polled = Pin::new(&mut *stream).poll_write(cx, &self.held);
            match ready!(self.watch(cx, polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.held.advance(sent),
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx, stream))?;
        let polled = Pin::new(stream).poll_flush(cx);
        self.watch(cx, polled)
    }

    pub(super) fn poll_shutdown(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx, stream))?;
        let polled = Pin::new(stream).poll_shutdown(cx);
        self.watch(cx, polled)
    }

    /// Holds `data` too, whatever its length.
    pub(super) fn append(&mut self, data: &[u8]) {
        self.held.extend_from_slice(data);
    }

    /// What is held, for somebody else to send.
    pub(super) fn take(&mut self) -> BytesMut {
        self.held.split()
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled_since = None;
            return polled;
        }
        let since = *self.stalled_since.get_or_insert_with(Instant::now);
        ready!(self.alarm.poll(cx, since + self.stall_max));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing",
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    /// Keeps every write apart.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(data.to_vec());
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_head_leaves_with_the_first_of_its_body() -> io::Result<()> {
        let (mut outgoing, mut writes) = (Outgoing::default(), Writes::default());
        assert_eq!(
            poll_fn(|cx| outgoing.poll_hold(cx, &mut writes, b"head ")).await?,
            5
        );
        assert!(writes.0.is_empty());
        assert_eq!(
            poll_fn(|cx| outgoing.poll_write(cx, &mut writes, b"body")).await?,
            4
        );
        assert_eq!(
            poll_fn(|cx| outgoing.poll_write(cx, &mut writes, b"more")).await?,
            4
        );
        assert_eq!(writes.0, [b"head body".to_vec(), b"more".to_vec()]);
        Ok(())
    }

    #[tokio::test]
    async fn a_head_without_a_body_leaves_by_a_flush() -> io::Result<()> {
        let (mut outgoing, mut writes) = (Outgoing::default(), Writes::default());
        poll_fn(|cx| outgoing.poll_hold(cx, &mut writes, b"head")).await?;
        poll_fn(|cx| outgoing.poll_flush(cx, &mut writes)).await?;
        assert_eq!(writes.0, [b"head".to_vec()]);
        Ok(())
    }

    #[tokio::test]
    async fn large_pieces_arrive_in_order_through_a_narrow_pipe() -> io::Result<()> {
        let (mut near, mut far) = duplex(100);
        let (head, body) = (
            vec![b'h'; HELD_BYTES_MAX - 10],
            vec![b'b'; 3 * HELD_BYTES_MAX],
        );
        let expected = [head.clone(), body.clone()].concat();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.map(|_| all)
        });
        let mut outgoing = Outgoing::default();
        assert_eq!(
            poll_fn(|cx| outgoing.poll_hold(cx, &mut near, &head)).await?,
            head.len()
        );
        let mut rest = &body[..];
        while !rest.is_empty() {
            let taken = poll_fn(|cx| outgoing.poll_write(cx, &mut near, rest)).await?;
            rest = &rest[taken..];
        }
        poll_fn(|cx| outgoing.poll_shutdown(cx, &mut near)).await?;
        drop(near);
        assert!(reading.await?? == expected);
        Ok(())
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut near, _far) = duplex(10);
        let mut outgoing = Outgoing::with_stall_max(Duration::from_millis(30));
        let mut sent = 0;
        let error = loop {
            match poll_fn(|cx| outgoing.poll_write(cx, &mut near, b"1234567")).await {
                Ok(taken) => sent += taken,
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), sent), (io::ErrorKind::TimedOut, 10));
    }
}
