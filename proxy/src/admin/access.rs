//! Who may use the admin address.

use std::net::SocketAddr;

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;
use http::{Method, StatusCode};
use portcullis_config::model::Admin;
use sha2::{Digest as _, Sha256};

/// Fetch Metadata Request Headers, W3C: how a browser says where a request came from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The rules of one admin address. Not `Debug`: it knows the token.
pub(super) struct Access {
    /// Lower case Host values; `None` where the address is not loopback and only the token counts.
    hosts: Option<Vec<String>>,
    token: Option<[u8; 32]>,
}

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Access {
    /// The rules for `address`, the one really bound.
    pub(super) fn new(address: SocketAddr, admin: &Admin) -> Self {
        let hosts = address.ip().is_loopback().then(|| hosts(address, admin));
        let token = admin.token.as_deref().map(digest);
        Self { hosts, token }
    }

    /// # Errors
    /// 400 or 421 for the host, 401 for the token, 403 for a request that a foreign web page made.
    pub(super) fn check(&self, head: &Parts) -> Result<(), Denied> {
        let host = host(head)?;
        if let Some(hosts) = &self.hosts
            && !hosts.contains(&host)
        {
            return Err(Denied {
                status: StatusCode::MISDIRECTED_REQUEST,
                message: format!(
                    "the admin address does not answer for host `{}`; add it to admin.hosts if it should",
                    host.escape_debug()
                ),
            });
        }
        self.check_token(&head.headers)?;
        match head.method {
            Method::GET | Method::HEAD => Ok(()),
            _ => check_origin(&head.headers, &host),
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let Some(expected) = &self.token else {
            // A configuration without a token is only accepted on loopback; this holds whoever built it.
            return match self.hosts {
                Some(_) => Ok(()),
                None => Err(unauthorized("no token is configured for this address")),
            };
        };
        let given = only(headers, &AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        match given {
            Some((_, token)) if same(&digest(token.trim()), expected) => Ok(()),
            Some(_) => Err(unauthorized("the token is wrong")),
            None => Err(unauthorized(
                "a token is needed: Authorization: Bearer TOKEN",
            )),
        }
    }
}

/// Every Host value that names a loopback address, with its port, and those of `admin.hosts`.
fn hosts(address: SocketAddr, admin: &Admin) -> Vec<String> {
    let port = address.port();
    let own = ["localhost", "127.0.0.1", "[::1]"];
    let mut hosts: Vec<String> = own.iter().map(|host| format!("{host}:{port}")).collect();
    hosts.push(address.to_string());
    if port == 80 {
        // A browser leaves out the default port.
        hosts.extend(own.map(str::to_owned));
    }
    for host in &admin.hosts {
        let host = host.to_ascii_lowercase();
        hosts.push(format!("{host}:{port}"));
        hosts.push(host);
    }
    hosts
}

/// The host a request names, lower case: one Host header, and a target in absolute form must agree with it.
fn host(head: &Parts) -> Result<String, Denied> {
    let bad = |message: &str| Denied {
        status: StatusCode::BAD_REQUEST,
        message: message.to_owned(),
    };
    let host = only(&head.headers, &HOST)
        .filter(|host| !host.is_empty())
        .ok_or_else(|| bad("the request needs one Host header"))?
        .to_ascii_lowercase();
    match head.uri.authority() {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(&host) => {
            Err(bad("the request target names another host than Host"))
        }
        _ => Ok(host),
    }
}

/// Refuses what a browser sent on behalf of another site: a simple POST needs nobody's permission.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Denied> {
    let denied = || Denied {
        status: StatusCode::FORBIDDEN,
        message: "requests of other web sites are refused".to_owned(),
    };
    if headers.contains_key(ORIGIN) {
        let origin = only(headers, &ORIGIN).ok_or_else(denied)?;
        let own = origin
            .split_once("://")
            .is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host));
        if !own {
            return Err(denied());
        }
    }
    if headers.contains_key(SEC_FETCH_SITE) {
        let site = only(headers, &SEC_FETCH_SITE).ok_or_else(denied)?;
        if !matches!(site, "same-origin" | "none") {
            return Err(denied());
        }
    }
    Ok(())
}

/// The value of a header that is there exactly once, where it is text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn unauthorized(message: &str) -> Denied {
    Denied {
        status: StatusCode::UNAUTHORIZED,
        message: message.to_owned(),
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Compares digests, all bytes always: how long it takes says nothing about the token, nor about its length.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let differing = a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b));
    std::hint::black_box(differing) == 0
}
