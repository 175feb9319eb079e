//! A download by HTTPS: what is published somewhere, bounded in size and time. What came is checked by its digest, so
//! the connection is trusted with nothing but to be there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, LOCATION, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Bytes of an archive; that of the Core Rule Set has two megabytes.
const BYTES_MAX: usize = 64 << 20;

/// For all of it.
const TIME_MAX: Duration = Duration::from_secs(300);

/// Until a connection is there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);

/// Answers that name another address.
const REDIRECTS_MAX: usize = 5;

/// Told how many bytes came, now and then.
pub type Progress<'a> = &'a mut dyn FnMut(usize);

/// The content behind an address.
///
/// # Errors
/// Why there is none.
pub(super) async fn get(url: &str, progress: Progress<'_>) -> Result<Bytes, String> {
    match tokio::time::timeout(TIME_MAX, follow(url, progress)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("it took longer than {TIME_MAX:?}")),
    }
}

async fn follow(url: &str, progress: Progress<'_>) -> Result<Bytes, String> {
    let mut uri: Uri = url
        .parse()
        .map_err(|error| format!("no address: {error}"))?;
    for _ in 0..=REDIRECTS_MAX {
        let response = send(&uri).await?;
        let status = response.status();
        if status.is_success() {
            return body(response.into_body(), progress).await;
        }
        let location = response
            .headers()
            .get(LOCATION)
            .filter(|_| status.is_redirection());
        let Some(location) = location.and_then(|location| location.to_str().ok()) else {
            return Err(format!("the server at {} answered {status}", host(&uri)?));
        };
        uri = redirected(&uri, location)?;
    }
    Err(format!("more than {REDIRECTS_MAX} redirections"))
}

/// An absolute address, or another path at the same server. Not from HTTPS to clear text.
fn redirected(from: &Uri, location: &str) -> Result<Uri, String> {
    let malformed =
        |error: http::Error| format!("redirected to {location:?}, which is no address: {error}");
    let to: Uri = location
        .parse()
        .map_err(|error: http::uri::InvalidUri| malformed(error.into()))?;
    let mut parts = to.into_parts();
    if parts.authority.is_none() {
        parts.authority = from.authority().cloned();
        parts.scheme = from.scheme().cloned();
    }
    let to = Uri::from_parts(parts).map_err(|error| malformed(error.into()))?;
    if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
        return Err(format!("redirected from HTTPS to {to}"));
    }
    Ok(to)
}

fn host(uri: &Uri) -> Result<&str, String> {
    uri.host().ok_or_else(|| format!("{uri} names no server"))
}

async fn send(uri: &Uri) -> Result<http::Response<Incoming>, String> {
    let name = host(uri)?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(format!("{uri} is neither https nor http")),
    };
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let failed = |error: std::io::Error| format!("cannot connect to {name}: {error}");
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let connecting = tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect((bare, port)));
    let stream = connecting
        .await
        .map_err(|_| format!("cannot connect to {name} within {CONNECT_TIME_MAX:?}"))?
        .map_err(failed)?;
    if !tls {
        return exchange(stream, uri).await;
    }
    let server =
        ServerName::try_from(bare.to_owned()).map_err(|error| format!("{name}: {error}"))?;
    let stream = connector()?.connect(server, stream).await.map_err(failed)?;
    exchange(stream, uri).await
}

/// Trusts whom the system trusts.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let certificates = rustls_native_certs::load_native_certs()
        .map_err(|error| format!("the system's certificates cannot be read: {error}"))?;
    roots.add_parsable_certificates(certificates);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn exchange<S>(stream: S, uri: &Uri) -> Result<http::Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| format!("the server did not answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // Ends with the connection.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(HOST, authority)
        .header(
            USER_AGENT,
            concat!("portcullis/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    sender.send_request(request).await.map_err(failed)
}

async fn body(mut body: Incoming, progress: Progress<'_>) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the connection broke: {error}"))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > BYTES_MAX {
                return Err(format!("more than {} MiB", BYTES_MAX >> 20));
            }
            bytes.extend_from_slice(data);
            progress(bytes.len());
        }
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_stay_on_https() {
        let from: Uri = "https://a.example/x".parse().expect("an address");
        let to = |location| redirected(&from, location).map(|uri| uri.to_string());
        assert_eq!(to("/y?z"), Ok("https://a.example/y?z".to_owned()));
        assert_eq!(
            to("https://b.example/y"),
            Ok("https://b.example/y".to_owned())
        );
        assert!(to("http://b.example/y").is_err_and(|error| error.contains("from HTTPS")));
    }
}
