//! The builders against each other, without a proxy between.

use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Frame;

use crate::client::Client;
use crate::dns::NameServer;
use crate::origin::{Origin, full, parts, sha256, zeros};
use crate::raw::{RawClient, RawOrigin};

#[tokio::test]
async fn an_origin_records_what_a_client_sends() {
    let origin = Origin::echo().await;
    for h2 in [false, true] {
        let mut client = match h2 {
            true => Client::h2c(origin.address()).await,
            false => Client::h1(origin.address()).await,
        };
        let answer = client.post("/path?q", "a body").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "a body"));
        let seen = origin.next().await;
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            ("POST", "/path?q")
        );
        assert_eq!((seen.length, seen.sha256), (6, sha256(b"a body")));
        let long = Request::post("/").body(zeros(100, 1000)).expect("request");
        client.send(long).await;
        assert_eq!(origin.next().await.length, 100_000);
    }
    assert_eq!((origin.heads(), origin.connections()), (4, 2));
    assert_eq!(origin.body_bytes(), 2 * 100_006);
}

#[tokio::test]
async fn trailers_reach_the_client() {
    let origin = Origin::handling(|_| async {
        let (sender, body) = parts();
        tokio::spawn(async move {
            let name = "x-end".parse().expect("a name");
            let trailers = HeaderMap::from_iter([(name, HeaderValue::from_static("1"))]);
            let _ = sender.send(Ok(Frame::data("body".into()))).await;
            let _ = sender.send(Ok(Frame::trailers(trailers))).await;
        });
        Response::new(body)
    })
    .await;
    let answer = Client::h2c(origin.address()).await.get("/").await;
    assert_eq!(answer.trailers["x-end"], "1");
}

#[tokio::test]
async fn bytes_are_framed_as_their_heads_say() {
    let origin = RawOrigin::recording().await;
    let mut wire = RawClient::connect(origin.address()).await;
    wire.send(
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nx: 1\r\n\r\n",
    )
    .await;
    assert_eq!(wire.answer().await.body, b"ok");
    wire.send("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n")
        .await;
    for _ in 0..2 {
        assert_eq!(wire.answer().await.status, 200);
    }
    wire.finish().await;
    assert!(wire.closed().await);
    assert!(origin.bytes().ends_with(b"abcGET / HTTP/1.1\r\n\r\n"));
    let mut client = Client::h1(origin.address()).await;
    let request = Request::get("/").body(full("")).expect("request");
    assert_eq!(client.send(request).await.text(), "ok");
}

#[tokio::test]
async fn a_name_server_answers_for_its_names() {
    let server = NameServer::start().await;
    server.set("a.test", &["127.0.0.3".parse().expect("an address")]);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port");
    for (name, code, count) in [("a", 0, 1), ("b", 3, 0)] {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1];
        question.extend(name.bytes());
        question.extend(b"\x04test\0\0\x01\0\x01");
        socket
            .send_to(&question, server.address())
            .await
            .expect("sent");
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).await.expect("an answer");
        assert_eq!(
            (answer[..2].to_vec(), answer[3] & 15, answer[7]),
            (vec![7, 7], code, count)
        );
        assert_eq!(answer[..length].ends_with(&[127, 0, 0, 3]), count == 1);
    }
    assert_eq!(server.questions(), 2);
}
