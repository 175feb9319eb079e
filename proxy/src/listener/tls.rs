//! TLS of a listener: certificates and keys from PEM, chosen by the name the client asks for.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_config::Problem;
use portcullis_config::model::{Certificate, ListenerTls};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN (nothing by ALPN where no HTTP is spoken), the certificate by SNI (the first for names that none has).
///
/// A certificate that has expired, or is not valid yet, is a warning in the log: serving it is still better than not
/// serving.
///
/// # Errors
/// What is wrong with a certificate or key, at its place in the file.
pub fn server_config(tls: &ListenerTls, speaks_http: bool) -> Result<Arc<ServerConfig>, Problem> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut names = Names::default();
    for certificate in &tls.certificates {
        names.add(certificate, &provider)?;
    }
    let Some(first) = tls.certificates.first() else {
        // The configuration's checks guarantee one; without, every handshake would fail by itself.
        return Ok(Arc::new(
            protocols(provider).with_cert_resolver(Arc::new(names)),
        ));
    };
    let mut config = protocols(provider).with_cert_resolver(Arc::new(names));
    if speaks_http {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    let no_ticketer = |error| {
        first
            .at
            .problem(format!("no TLS session tickets can be made: {error}"), None)
    };
    config.ticketer = Ticketer::new().map_err(no_ticketer)?;
    Ok(Arc::new(config))
}

/// Certificates by the names they are for.
#[derive(Debug, Default)]
struct Names {
    keys: Vec<Arc<CertifiedKey>>,
    /// Lower case names, to an index of `keys`.
    exact: HashMap<String, usize>,
    /// `*.example.com` as `example.com`.
    wildcard: HashMap<String, usize>,
}

impl Names {
    fn add(&mut self, certificate: &Certificate, provider: &CryptoProvider) -> Result<(), Problem> {
        let key = certified_key(certificate, provider)?;
        let index = self.keys.len();
        for name in dns_names(certificate, &key)? {
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            // The first certificate for a name stays.
            map.entry(name.to_owned()).or_insert(index);
        }
        self.keys.push(Arc::new(key));
        Ok(())
    }

    fn choose(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let index = name.map(str::to_ascii_lowercase).and_then(|name| {
            // A wildcard stands for exactly one label (RFC 6125, 6.4.3).
            let parent = name.split_once('.').map(|(_, parent)| parent);
            self.exact
                .get(&name)
                .or_else(|| self.wildcard.get(parent?))
                .copied()
        });
        self.keys.get(index.unwrap_or(0))
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name()).cloned()
    }
}

fn protocols(
    provider: Arc<CryptoProvider>,
) -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has suites for both versions")
        .with_no_client_auth()
}

fn certified_key(
    certificate: &Certificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Problem> {
    let chain = CertificateDer::pem_slice_iter(&certificate.cert_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            certificate
                .at
                .problem(format!("the certificate is not valid PEM: {error}"), None)
        })?;
    if chain.is_empty() {
        let hint = "it begins with -----BEGIN CERTIFICATE-----; the server's own comes first, then the intermediates";
        return Err(certificate
            .at
            .problem("no certificate found", Some(hint.into())));
    }
    let key = PrivateKeyDer::from_pem_slice(&certificate.key_pem).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let hint = "it begins with -----BEGIN PRIVATE KEY-----, or EC or RSA PRIVATE KEY; encrypted keys cannot be read";
            certificate.at.problem("no private key found", Some(hint.into()))
        }
        other => certificate.at.problem(format!("the private key is not valid PEM: {other}"), None),
    })?;
    let signer = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| {
            certificate.at.problem(
                format!("the private key cannot be used: {error}"),
                Some("RSA, ECDSA and Ed25519 keys can".into()),
            )
        })?;
    let key = CertifiedKey::new(chain, signer);
    match key.keys_match() {
        // Unknown: a kind of key that cannot tell its public half.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(key),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let hint = "the first certificate of the chain is the one the key belongs to";
            Err(certificate.at.problem(
                "the private key does not belong to the certificate",
                Some(hint.into()),
            ))
        }
        Err(error) => Err(certificate
            .at
            .problem(format!("the certificate cannot be used: {error}"), None)),
    }
}

/// The DNS names of the first certificate, in lower case; warns when it is out of its time.
fn dns_names(certificate: &Certificate, key: &CertifiedKey) -> Result<Vec<String>, Problem> {
    let unreadable = |error: String| {
        certificate
            .at
            .problem(format!("the certificate cannot be read: {error}"), None)
    };
    let der = key
        .end_entity_cert()
        .map_err(|error| unreadable(error.to_string()))?;
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|error| unreadable(error.to_string()))?;
    let validity = parsed.validity();
    if !validity.is_valid() {
        tracing::warn!(
            at = %certificate.at, subject = %parsed.subject(), from = %validity.not_before, to = %validity.not_after,
            "a certificate is outside of its time: clients will refuse it"
        );
    }
    let alternatives = parsed
        .subject_alternative_name()
        .map_err(|error| unreadable(error.to_string()))?;
    let names = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    Ok(names
        .filter_map(|name| {
            if let GeneralName::DNSName(name) = name {
                Some(name.to_ascii_lowercase())
            } else {
                None
            }
        })
        .collect())
}
