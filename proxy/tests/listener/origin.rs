//! An origin that keeps every byte it gets, and answers by the path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Longer than anything here takes, shorter than anybody waits.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Origin {
    pub address: SocketAddr,
    recorded: Arc<Mutex<Vec<u8>>>,
    /// Requests for `/gate...` are answered one for each permit.
    pub gate: Arc<Semaphore>,
    open: watch::Receiver<usize>,
    changed: watch::Receiver<usize>,
}

impl Origin {
    pub async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Semaphore::new(0));
        let (open_sender, open) = watch::channel(0);
        let (changed_sender, changed) = watch::channel(0);
        let peer = Peer {
            recorded: Arc::clone(&recorded),
            gate: Arc::clone(&gate),
            changed: Arc::new(changed_sender),
        };
        tokio::spawn(async move {
            let open = Arc::new(open_sender);
            while let Ok((stream, _)) = socket.accept().await {
                open.send_modify(|open| *open += 1);
                let (peer, open) = (peer.clone(), Arc::clone(&open));
                tokio::spawn(async move {
                    peer.serve(stream).await;
                    open.send_modify(|open| *open -= 1);
                });
            }
        });
        Self {
            address,
            recorded,
            gate,
            open,
            changed,
        }
    }

    /// Everything received so far, all connections in one.
    pub fn recorded(&self) -> String {
        String::from_utf8_lossy(&self.recorded.lock()).into_owned()
    }

    /// Waits until `part` has been received.
    pub async fn received(&self, part: &str) {
        let mut changed = self.changed.clone();
        let seen = changed.wait_for(|_| self.recorded().contains(part));
        let seen = timeout(PATIENCE, seen).await.map(|result| result.is_ok());
        assert_eq!(
            seen,
            Ok(true),
            "never got {part:?}, only {:?}",
            self.recorded()
        );
    }

    /// Waits until no connection is open.
    pub async fn left_alone(&self) {
        let mut open = self.open.clone();
        assert!(
            timeout(PATIENCE, open.wait_for(|&open| open == 0))
                .await
                .is_ok(),
            "a connection stays open"
        );
    }
}

#[derive(Clone)]
struct Peer {
    recorded: Arc<Mutex<Vec<u8>>>,
    gate: Arc<Semaphore>,
    changed: Arc<watch::Sender<usize>>,
}

impl Peer {
    async fn read(&self, stream: &mut TcpStream, input: &mut Vec<u8>) -> bool {
        let before = input.len();
        if !matches!(stream.read_buf(input).await, Ok(1..)) {
            return false;
        }
        self.recorded.lock().extend_from_slice(&input[before..]);
        self.changed.send_modify(|changes| *changes += 1);
        true
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut input = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = find(&input, b"\r\n\r\n") {
                    let head: Vec<u8> = input.drain(..end + 4).collect();
                    break String::from_utf8_lossy(&head).into_owned();
                }
                if !self.read(&mut stream, &mut input).await {
                    return;
                }
            };
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if path.starts_with("/gate") {
                match self.gate.acquire().await {
                    Ok(permit) => permit.forget(),
                    Err(_) => return,
                }
            }
            if path.ends_with("/upgrade") {
                let head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                return self.echo(&mut stream, head, input).await;
            }
            if path.ends_with("/early") {
                let response =
                    b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n\r\ntoo large";
                let _ = stream.write_all(response).await;
                // Reads nothing of the body, and leaves when told.
                let _permit = self.gate.acquire().await;
                return;
            }
            let Some(body) = self.body(&mut stream, &mut input, &head).await else {
                return;
            };
            let answer = format!("{path} {}", body.len());
            let response = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            if stream.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// Sends back what comes, byte for byte.
    async fn echo(&self, stream: &mut TcpStream, head: &[u8], mut input: Vec<u8>) {
        if stream.write_all(head).await.is_err() {
            return;
        }
        loop {
            if stream.write_all(&input).await.is_err() {
                return;
            }
            input.clear();
            if !self.read(stream, &mut input).await {
                return;
            }
        }
    }

    /// The body with its framing taken off.
    async fn body(
        &self,
        stream: &mut TcpStream,
        input: &mut Vec<u8>,
        head: &str,
    ) -> Option<Vec<u8>> {
        let head = head.to_ascii_lowercase();
        if head.contains("expect: 100-continue") {
            stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .ok()?;
        }
        if head.contains("transfer-encoding: chunked") {
            let mut body = Vec::new();
            loop {
                let line = loop {
                    if let Some(end) = find(input, b"\r\n") {
                        break input.drain(..end + 2).collect::<Vec<_>>();
                    }
                    self.read(stream, input).await.then_some(())?;
                };
                let size =
                    usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
                while input.len() < size + 2 {
                    self.read(stream, input).await.then_some(())?;
                }
                body.extend(input.drain(..size));
                input.drain(..2);
                if size == 0 {
                    return Some(body);
                }
            }
        }
        let length = head
            .split("content-length:")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.trim().parse().ok());
        let length = length.unwrap_or(0);
        while input.len() < length {
            self.read(stream, input).await.then_some(())?;
        }
        Some(input.drain(..length).collect())
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
