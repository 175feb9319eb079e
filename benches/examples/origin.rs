//! An origin light enough not to be the bottleneck of a comparison: one thread, no HTTP library.
//!
//! It answers every request head with 1 KiB, and a request for `/echo` with the head as it arrived, so that a check
//! can see what a proxy sends on. A request body is not understood: it would be read as the next head.
//!
//! Usage: `origin LISTEN`; port 0 lets the system choose. The address is the first line of the output.

use std::io;
use std::process::ExitCode;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a page of an API answers with: large enough to be copied, small enough to fit one segment of loopback.
const BODY_BYTES: usize = 1024;

/// No proxy sends a longer head here; a longer one ends the connection.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!("usage: origin LISTEN");
        return ExitCode::from(2);
    };
    match serve(&address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("origin: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    let page = response(&[b'x'; BODY_BYTES]);
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let page = page.clone();
        tokio::spawn(async move {
            // A proxy may close its pooled connections as it likes.
            let _ = answer(connection, &page).await;
        });
    }
}

async fn answer(mut connection: TcpStream, page: &[u8]) -> io::Result<()> {
    let mut read = Vec::with_capacity(4096);
    let mut out = Vec::with_capacity(4096);
    loop {
        if connection.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        out.clear();
        let mut done = 0;
        while let Some(length) = find(&read[done..], END_OF_HEAD) {
            let head = &read[done..done + length + END_OF_HEAD.len()];
            if head.starts_with(b"GET /echo ") {
                out.extend_from_slice(&response(head));
            } else {
                out.extend_from_slice(page);
            }
            done += head.len();
        }
        read.drain(..done);
        if read.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
        connection.write_all(&out).await?;
    }
}

fn response(body: &[u8]) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body);
    response
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
