//! A name server on the loopback that says what a test wants.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// Far beyond any test: what follows a change does not follow the time to live.
const TTL_SECONDS: u32 = 86_400;

#[derive(Clone, Debug)]
pub(super) enum Says {
    /// Of both families.
    Addresses(Vec<IpAddr>),
    /// As many as fit a packet are none: to be asked again over TCP.
    OverTcp(Vec<IpAddr>),
    Code(ResponseCode),
    Nothing,
}

pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    zone: Arc<Mutex<HashMap<String, Says>>>,
    questions: Arc<AtomicUsize>,
}

impl NameServer {
    /// Over UDP and TCP on one port. Names it was not told about do not exist.
    pub(super) async fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // The port may be taken for the other protocol.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let server = Self {
            address: udp.local_addr().unwrap(),
            zone: Arc::default(),
            questions: Arc::default(),
        };
        let (zone, questions) = (Arc::clone(&server.zone), Arc::clone(&server.questions));
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            loop {
                let (bytes, client) = udp.recv_from(&mut packet).await.unwrap();
                questions.fetch_add(1, Ordering::SeqCst);
                if let Some(reply) = reply(&zone, &packet[..bytes], false) {
                    udp.send_to(&reply, client).await.unwrap();
                }
            }
        });
        let zone = Arc::clone(&server.zone);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let zone = Arc::clone(&zone);
                tokio::spawn(async move {
                    while let Ok(bytes) = stream.read_u16().await {
                        let mut message = vec![0; usize::from(bytes)];
                        stream.read_exact(&mut message).await.unwrap();
                        if let Some(reply) = reply(&zone, &message, true) {
                            stream
                                .write_u16(u16::try_from(reply.len()).unwrap())
                                .await
                                .unwrap();
                            stream.write_all(&reply).await.unwrap();
                        }
                    }
                });
            }
        });
        server
    }

    pub(super) fn says(&self, name: &str, says: Says) {
        self.zone.lock().insert(format!("{name}."), says);
    }

    pub(super) fn has(&self, name: &str, addresses: &[&str]) {
        self.says(
            name,
            Says::Addresses(
                addresses
                    .iter()
                    .map(|address| address.parse().unwrap())
                    .collect(),
            ),
        );
    }

    /// Over UDP, so far.
    pub(super) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

fn reply(zone: &Mutex<HashMap<String, Says>>, question: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut reply = Message::response(question.metadata.id, OpCode::Query);
    reply.metadata.recursion_available = true;
    let says = zone.lock().get(&query.name().to_string()).cloned();
    match says.unwrap_or(Says::Code(ResponseCode::NXDomain)) {
        Says::Nothing => return None,
        Says::Code(code) => reply.metadata.response_code = code,
        Says::OverTcp(_) if !over_tcp => reply.metadata.truncation = true,
        Says::Addresses(addresses) | Says::OverTcp(addresses) => {
            let wanted = |ip: &IpAddr| ip.is_ipv4() == (query.query_type() == RecordType::A);
            let records = addresses.into_iter().filter(wanted);
            reply.add_answers(
                records.map(|ip| {
                    Record::from_rdata(query.name().clone(), TTL_SECONDS, RData::from(ip))
                }),
            );
        }
    }
    reply.add_query(query);
    Some(reply.to_vec().unwrap())
}
