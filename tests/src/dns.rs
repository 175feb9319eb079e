//! A name server that says what a test wants.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Answers questions for IPv4 addresses over UDP (RFC 1035), with a time to live of 0.
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Zone {
    names: HashMap<String, Vec<Ipv4Addr>>,
    questions: usize,
}

/// Length of a message's header.
const HEADER: usize = 12;
const TYPE_A: u16 = 1;
/// Response code: the name does not exist.
const NX_DOMAIN: u8 = 3;

impl NameServer {
    /// On a free port; knows no name yet.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("address of a socket");
        let zone = Arc::new(Mutex::new(Zone::default()));
        let shared = Arc::clone(&zone);
        let task = tokio::spawn(async move {
            let mut message = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut message).await {
                let answer = answer(&message[..length], &mut shared.lock().expect("zone"));
                if let Some(answer) = answer {
                    // The asker may be gone.
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        Self {
            address,
            zone,
            task,
        }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the name has these addresses; none at all: it does not exist.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn set(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.zone
            .lock()
            .expect("zone")
            .names
            .insert(name.to_owned(), addresses.to_vec());
    }

    /// Questions answered until now.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.zone.lock().expect("zone").questions
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &[u8], zone: &mut Zone) -> Option<Vec<u8>> {
    let (name, end) = name(question)?;
    let kind = u16::from_be_bytes(question.get(end..end + 2)?.try_into().ok()?);
    zone.questions += 1;
    let known = zone
        .names
        .get(&name)
        .filter(|addresses| !addresses.is_empty());
    let addresses = known
        .filter(|_| kind == TYPE_A)
        .map_or(&[][..], Vec::as_slice);
    let code = if known.is_some() { 0 } else { NX_DOMAIN };

    let mut message = question.get(..2)?.to_vec();
    // Response, authoritative, recursion desired and available.
    message.extend([0x85, 0x80 | code, 0, 1]);
    message.extend(u16::try_from(addresses.len()).ok()?.to_be_bytes());
    message.extend([0; 4]);
    message.extend(question.get(HEADER..end + 4)?);
    for address in addresses {
        // The name by reference, A, IN, 0 seconds, 4 bytes.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        message.extend(address.octets());
    }
    Some(message)
}

/// The question's name, without the last dot and in lower case, and where it ends.
fn name(message: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
}
