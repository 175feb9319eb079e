//! gRPC callouts as the embedder sees them: the call, the messages that the guest sends, and what comes back.
//!
//! The guest's end of a call lives in its VM, the other end in the embedder. A message goes straight from a hostcall
//! into the queue between them, where it waits until the embedder has taken it; so messages may be sent before the
//! call is open. When the VM lets go of its end (the guest cancelled, the VM died or was stopped), the call is to be
//! reset.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::{GRPC_QUEUED_BYTES_MAX, GRPC_QUEUED_MESSAGES_MAX};

/// Names and values of metadata.
pub type Metadata = Vec<(Vec<u8>, Vec<u8>)>;

/// A gRPC call or stream (`proxy_grpc_call`, `proxy_grpc_stream`), checked.
#[derive(Debug)]
pub struct GrpcCall {
    /// Unique in its VM for ever.
    pub token: u32,
    pub kind: GrpcKind,
    pub target: GrpcTarget,
    /// Full name of the service, such as `envoy.service.auth.v3.Authorization`.
    pub service: String,
    pub method: String,
    /// Initial metadata as the guest gave it: no CR, LF or NUL, nothing else is checked.
    pub metadata: Metadata,
    /// `None`: no timeout of the guest's own.
    pub timeout: Option<Duration>,
    /// What the guest sends.
    pub messages: GrpcMessages,
}

impl GrpcCall {
    /// The same call, to be made again for another VM: nothing of it was sent, what is to be sent waits.
    pub(crate) fn twin(&self) -> (GrpcSender, Self) {
        let (sender, messages) = queue();
        {
            let (waiting, mut twin) = (self.messages.0.lock(), messages.0.lock());
            twin.messages.clone_from(&waiting.messages);
            twin.bytes = waiting.bytes;
            twin.closed = waiting.closed;
        }
        let call = Self {
            token: self.token,
            kind: self.kind,
            target: self.target.clone(),
            service: self.service.clone(),
            method: self.method.clone(),
            metadata: self.metadata.clone(),
            timeout: self.timeout,
            messages,
        };
        (sender, call)
    }
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcTarget {
    pub upstream: String,
    /// The `:authority` to send; empty: the upstream's name, as in Envoy.
    pub authority: String,
}

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcKind {
    /// One message there, and [`GrpcEvent::Answer`] or [`GrpcEvent::Close`] back.
    Unary,
    /// Messages both ways, at last trailing metadata and [`GrpcEvent::Close`].
    Stream,
}

/// What comes back, for [`Vm::on_grpc`](crate::Vm::on_grpc).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcEvent {
    /// Of a stream.
    InitialMetadata(Metadata),
    /// Of a stream.
    Message(Vec<u8>),
    /// Of a stream; empty where it failed before there were any.
    TrailingMetadata(Metadata),
    /// The answer to a call that went well. It is the last event.
    Answer(Vec<u8>),
    /// The end of a stream, or of a call that failed. It is the last event.
    Close {
        /// A code of gRPC, 0 (OK) to 16.
        status: u32,
        message: String,
    },
}

impl GrpcEvent {
    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Close { .. } => true,
            Self::InitialMetadata(_) | Self::Message(_) | Self::TrailingMetadata(_) => false,
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The guest has closed its side.
    #[error("the side of the guest is closed")]
    Closed,
    /// More waits than [`GRPC_QUEUED_BYTES_MAX`] or [`GRPC_QUEUED_MESSAGES_MAX`].
    #[error("too many messages wait")]
    Full,
}

/// What the embedder is to do next for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcNext {
    /// Send a message.
    Message(Vec<u8>),
    /// The guest has closed its side: nothing follows, answers may still come.
    End,
    /// Reset the call: nobody waits for it any more.
    Reset,
}

/// The two ends of a new call's queue.
pub fn queue() -> (GrpcSender, GrpcMessages) {
    let queue = Arc::new(Mutex::new(Queue::default()));
    let sender = GrpcSender(Arc::clone(&queue));
    (sender, GrpcMessages(queue))
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    closed: bool,
    reset: bool,
    /// Of who waits for a message, and of who waits for a reset.
    wakers: [Option<Waker>; 2],
}

impl Queue {
    fn wake(&mut self) {
        self.wakers
            .iter_mut()
            .filter_map(Option::take)
            .for_each(Waker::wake);
    }
}

/// The VM's end; dropped, it resets the call.
#[derive(Debug)]
pub struct GrpcSender(Arc<Mutex<Queue>>);

impl GrpcSender {
    /// Queues a message.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        let mut queue = self.0.lock();
        if queue.closed {
            return Err(SendError::Closed);
        }
        let bytes = queue.bytes.saturating_add(message.len());
        if bytes > GRPC_QUEUED_BYTES_MAX || queue.messages.len() >= GRPC_QUEUED_MESSAGES_MAX {
            return Err(SendError::Full);
        }
        queue.bytes = bytes;
        queue.messages.push_back(message.to_vec());
        queue.wake();
        Ok(())
    }

    /// Closes the guest's side. Once more is no harm.
    pub fn close(&self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        queue.wake();
    }
}

impl Drop for GrpcSender {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.reset = true;
        queue.messages.clear();
        queue.wake();
    }
}

/// The embedder's end. Clones are the same queue: one reads the messages, another may wait for the reset.
#[derive(Clone, Debug)]
pub struct GrpcMessages(Arc<Mutex<Queue>>);

impl GrpcMessages {
    /// The next thing to do. A message that was given no longer counts against the queue's bounds.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<GrpcNext> {
        let mut queue = self.0.lock();
        if queue.reset {
            return Poll::Ready(GrpcNext::Reset);
        }
        if let Some(message) = queue.messages.pop_front() {
            queue.bytes = queue.bytes.saturating_sub(message.len());
            return Poll::Ready(GrpcNext::Message(message));
        }
        if queue.closed {
            return Poll::Ready(GrpcNext::End);
        }
        let [next, _] = &mut queue.wakers;
        *next = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Returns when the call is to be reset.
    pub async fn reset(&self) {
        poll_fn(|cx| {
            let mut queue = self.0.lock();
            if queue.reset {
                return Poll::Ready(());
            }
            let [_, reset] = &mut queue.wakers;
            *reset = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn next(messages: &GrpcMessages) -> Poll<GrpcNext> {
        messages.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn messages_come_in_order_and_then_the_end() {
        let (sender, messages) = queue();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let poll = messages.poll_next(&mut Context::from_waker(&waker));
        assert_eq!(poll, Poll::Pending);
        sender.send(b"one").unwrap();
        sender.send(b"").unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        sender.close();
        assert_eq!(sender.send(b"late"), Err(SendError::Closed));
        assert_eq!(
            next(&messages),
            Poll::Ready(GrpcNext::Message(b"one".to_vec()))
        );
        assert_eq!(next(&messages), Poll::Ready(GrpcNext::Message(Vec::new())));
        assert_eq!(next(&messages), Poll::Ready(GrpcNext::End));
        drop(sender);
        assert_eq!(next(&messages), Poll::Ready(GrpcNext::Reset));
    }

    #[test]
    fn a_reset_overtakes_what_waits() {
        let (sender, messages) = queue();
        sender.send(b"one").unwrap();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut reset = std::pin::pin!(messages.reset());
        let mut cx = Context::from_waker(&waker);
        assert_eq!(reset.as_mut().poll(&mut cx), Poll::Pending);
        drop(sender);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(reset.as_mut().poll(&mut cx), Poll::Ready(()));
        assert_eq!(next(&messages), Poll::Ready(GrpcNext::Reset));
    }

    #[test]
    fn what_waits_is_bounded_by_bytes_and_by_number() {
        let (sender, messages) = queue();
        let half = vec![0; GRPC_QUEUED_BYTES_MAX / 2];
        sender.send(&half).unwrap();
        sender.send(&half).unwrap();
        assert_eq!(sender.send(b"1"), Err(SendError::Full));
        assert!(next(&messages).is_ready());
        sender.send(b"1").unwrap();

        let (sender, _messages) = queue();
        for _ in 0..GRPC_QUEUED_MESSAGES_MAX {
            sender.send(b"").unwrap();
        }
        assert_eq!(sender.send(b""), Err(SendError::Full));
    }
}
