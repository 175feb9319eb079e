//! The configuration of the filter, checked.

use crate::api_keys::{Consumers, KEY_BYTES_MAX};
use crate::credentials::{Places, Scheme};
use crate::jwks;
use crate::token::KEYS_TRIED_MAX;
use crate::verification_key::{Algorithm, VerificationKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_filter_settings::{Problems, Section, header_name};
use std::time::Duration;

/// How far the clocks of issuer and proxy may differ where the configuration does not say.
const LEEWAY_DEFAULT: Duration = Duration::from_secs(60);
/// Beyond this, `leeway` would undo `exp`.
const LEEWAY_MAX: Duration = Duration::from_secs(3600);

/// Headers that frame or route a message: a value from a credential must not get there.
const HEADERS_RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Who may pass.
#[derive(Clone, Debug)]
pub struct Policy {
    /// API keys, if they are a method here.
    pub api_keys: Option<ApiKeys>,
    /// Tokens, if they are a method here. One of the two always is.
    pub jwt: Option<Jwt>,
    /// Whether a request without any credentials passes.
    pub optional: bool,
    /// How many of the methods must be met.
    pub allow: Allow,
    /// The header that names the consumer to the origin, in lower case.
    pub consumer_header: String,
    /// What a 401 calls the protected space (RFC 9110 section 11.5).
    pub realm: String,
}

/// How many of the methods must be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// One.
    Any,
    /// Every one.
    All,
}

/// The method API key.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    /// Where a key may stand.
    pub places: Places,
    /// Whose keys there are.
    pub consumers: Consumers,
    /// Whether the origin does not see the key.
    pub hide: bool,
}

/// The method JSON Web Token.
#[derive(Clone, Debug)]
pub struct Jwt {
    /// Where a token may stand.
    pub places: Places,
    /// Who may have signed it.
    pub keys: Vec<VerificationKey>,
    /// Accepted values of `iss`; empty: any, or none.
    pub issuer: Vec<String>,
    /// Accepted values of `aud`; empty: any, or none.
    pub audience: Vec<String>,
    /// Seconds.
    pub leeway: i64,
    /// Claims that must be there.
    pub require: Vec<String>,
    /// Claims and the headers that they go to, in lower case.
    pub claims_to_headers: Vec<(String, String)>,
    /// Whether the origin does not see the token.
    pub hide: bool,
}

impl Policy {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every problem found, one text each.
    pub fn parse(configuration: &[u8]) -> Result<Self, Vec<String>> {
        let problems = Problems::default();
        let policy = Section::parse(configuration, &problems)
            .and_then(|section| Self::read(section, &problems));
        problems.into_result(policy)
    }

    /// Headers that only this filter may write, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        let of_claims = self
            .jwt
            .iter()
            .flat_map(|jwt| &jwt.claims_to_headers)
            .map(|(_, header)| header.as_str());
        std::iter::once(self.consumer_header.as_str()).chain(of_claims)
    }

    fn read(mut section: Section<'_>, problems: &Problems) -> Option<Self> {
        let methods = section.has("api_keys") || section.has("jwt");
        if !methods {
            problems.add("config", "needs a method: api_keys, jwt or both");
        }
        let has_api_keys = section.has("api_keys");
        let api_keys = section.section("api_keys").and_then(read_api_keys);
        let has_jwt = section.has("jwt");
        let jwt = section.section("jwt").and_then(read_jwt);
        let optional = section.flag("optional").unwrap_or(false);
        let allow = section
            .choice("allow", &[("any", Allow::Any), ("all", Allow::All)])
            .unwrap_or(Allow::Any);
        let consumer_header = section
            .header("consumer_header")
            .unwrap_or_else(|| "x-consumer".to_owned());
        let realm = section
            .text("realm")
            .unwrap_or_else(|| "portcullis".to_owned());
        if realm
            .bytes()
            .any(|byte| !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\')
        {
            section.refuse(
                "realm",
                "must be printable ASCII without quotes and backslashes",
            );
        }
        section.finish();
        if has_api_keys != api_keys.is_some() || has_jwt != jwt.is_some() {
            return None;
        }
        let policy = Self {
            api_keys,
            jwt,
            optional,
            allow,
            consumer_header,
            realm,
        };
        policy.check_headers(problems);
        methods.then_some(policy)
    }

    /// A header has one meaning: it brings a credential, or it tells the origin one thing.
    fn check_headers(&self, problems: &Problems) {
        let api_keys = self
            .api_keys
            .as_ref()
            .and_then(|method| method.places.header.as_deref());
        let jwt = self
            .jwt
            .as_ref()
            .and_then(|method| method.places.header.as_deref());
        let mut taken: Vec<&str> = [api_keys, jwt].into_iter().flatten().collect();
        if api_keys.is_some() && api_keys == jwt {
            problems.add(
                "jwt.header",
                "is the header of api_keys too; each method needs its own",
            );
        }
        for header in self.headers() {
            if HEADERS_RESERVED.contains(&header) {
                problems.add(
                    "config",
                    format_args!("header {header} frames or routes a message; choose another"),
                );
            }
            if taken.contains(&header) {
                problems.add(
                    "config",
                    format_args!("header {header} is used twice; choose another"),
                );
            }
            taken.push(header);
        }
    }
}

fn read_api_keys(mut section: Section<'_>) -> Option<ApiKeys> {
    let header = section.header("header");
    let query = section.text("query");
    let header = if header.is_none() && query.is_none() {
        Some("x-api-key".to_owned())
    } else {
        header
    };
    let hide = section.flag("hide").unwrap_or(true);
    if !section.has("keys") {
        section.refuse(
            "keys",
            "is missing; write a consumer and its key: { alice: \"${env:ALICE_KEY}\" }",
        );
    }
    let keys = section.section("keys");
    let at = section.at("keys");
    let problems = section.problems();
    section.finish();
    let mut consumers = Consumers::default();
    for (name, keys) in keys?.into_texts() {
        let at = format!("{at}.{name}");
        if name.is_empty() || name.chars().any(char::is_control) {
            problems.add(&at, "the name of a consumer goes into a header; it must not be empty or have control characters");
        }
        for key in keys {
            if key.len() > KEY_BYTES_MAX {
                problems.add(&at, format_args!("has more than {KEY_BYTES_MAX} bytes"));
            } else if let Err(other) = consumers.add(name.clone(), &key) {
                problems.add(&at, format_args!("is the key of {other} too"));
            }
        }
    }
    if consumers.is_empty() {
        problems.add(&at, "has no usable key");
    }
    Some(ApiKeys {
        places: Places {
            header,
            query,
            ..Places::default()
        },
        consumers,
        hide,
    })
}

fn read_jwt(mut section: Section<'_>) -> Option<Jwt> {
    let places = read_token_places(&mut section);
    let keys = read_verification_keys(&mut section);
    let issuer = section.texts("issuer").unwrap_or_default();
    let audience = section.texts("audience").unwrap_or_default();
    let leeway = section.duration("leeway").unwrap_or(LEEWAY_DEFAULT);
    if leeway > LEEWAY_MAX {
        section.refuse("leeway", "must be at most 1h");
    }
    let require = read_require(&mut section);
    let claims_to_headers = read_claims_to_headers(&mut section);
    let hide = section.flag("hide").unwrap_or(false);
    section.finish();
    let leeway = i64::try_from(leeway.as_secs()).ok()?;
    Some(Jwt {
        places,
        keys,
        issuer,
        audience,
        leeway,
        require,
        claims_to_headers,
        hide,
    })
}

fn read_token_places(section: &mut Section<'_>) -> Places {
    let header = section.header("header");
    let (cookie, query) = (section.text("cookie"), section.text("query"));
    let elsewhere = cookie.is_some() || query.is_some();
    let header = if header.is_none() && !elsewhere {
        Some("authorization".to_owned())
    } else {
        header
    };
    let scheme = if header.as_deref() == Some("authorization") {
        Scheme::Bearer
    } else {
        Scheme::BearerOrNone
    };
    Places {
        header,
        cookie,
        query,
        scheme,
    }
}

/// `[exp]`, unless said otherwise. An empty list is said otherwise: tokens that never expire are then accepted.
fn read_require(section: &mut Section<'_>) -> Vec<String> {
    let default = vec!["exp".to_owned()];
    let mut require = Vec::new();
    if !section.has("require") {
        return default;
    }
    for (path, item) in section.list("require").unwrap_or_default() {
        match item {
            serde_json::Value::String(name) if !name.is_empty() => require.push(name),
            _ => section.problems().add(&path, "must be the name of a claim"),
        }
    }
    require
}

fn read_claims_to_headers(section: &mut Section<'_>) -> Vec<(String, String)> {
    let at = section.at("claims_to_headers");
    let problems = section.problems();
    let mut pairs = Vec::new();
    for (claim, headers) in section
        .section("claims_to_headers")
        .map(Section::into_texts)
        .unwrap_or_default()
    {
        for header in headers {
            match header_name(&header) {
                Some(header) => pairs.push((claim.clone(), header)),
                None => problems.add(
                    &format!("{at}.{claim}"),
                    format_args!("{header:?} is not a header name"),
                ),
            }
        }
    }
    pairs
}

fn read_verification_keys(section: &mut Section<'_>) -> Vec<VerificationKey> {
    let problems = section.problems();
    if !section.has("keys") && !section.has("jwks") {
        section.refuse("keys", "is missing; give keys or jwks");
        return Vec::new();
    }
    let mut keys = Vec::new();
    for (path, item) in section.list("keys").unwrap_or_default() {
        let read = Section::of(path, item, problems).and_then(read_verification_key);
        keys.extend(read);
    }
    if let Some(set) = section.value("jwks") {
        keys.extend(jwks::read(&section.at("jwks"), set, problems));
    }
    check_names(section, &keys);
    keys
}

fn read_verification_key(mut section: Section<'_>) -> Option<VerificationKey> {
    let kid = section.text("kid");
    if !section.has("alg") {
        section.refuse(
            "alg",
            "is missing; a key verifies one algorithm: HS256, RS256, ES256 or EdDSA",
        );
    }
    let algorithm = section.choice("alg", &Algorithm::NAMES);
    let (secret, encoded, pem) = (
        section.text("secret"),
        section.text("secret_base64"),
        section.text("pem"),
    );
    let key = match (algorithm?, secret, encoded, pem) {
        (Algorithm::Hs256, Some(secret), None, None) => {
            VerificationKey::from_secret(kid, secret.into_bytes())
        }
        (Algorithm::Hs256, None, Some(encoded), None) => {
            match BASE64_STANDARD.decode(encoded.trim()) {
                Ok(secret) => VerificationKey::from_secret(kid, secret),
                Err(_) => Err("secret_base64 is not base64 (with + and /, padded by =)".to_owned()),
            }
        }
        (Algorithm::Hs256, ..) => Err("needs secret or secret_base64, and nothing else".to_owned()),
        (algorithm, None, None, Some(pem)) => VerificationKey::from_pem(kid, algorithm, &pem),
        _ => Err("needs pem, and nothing else".to_owned()),
    };
    let key = key
        .map_err(|message| section.problems().add(section.path(), message))
        .ok();
    section.finish();
    key
}

/// A token that names its key must find one, and one that does not must not make us try them all.
fn check_names(section: &Section<'_>, keys: &[VerificationKey]) {
    for (index, key) in keys.iter().enumerate() {
        let same =
            |other: &&VerificationKey| other.algorithm() == key.algorithm() && other.kid == key.kid;
        let earlier = keys[..index].iter().filter(same).count();
        match &key.kid {
            Some(kid) if earlier == 1 => section.refuse(
                "keys",
                format_args!("two keys of one algorithm have the kid {kid:?}"),
            ),
            None if earlier == KEYS_TRIED_MAX => {
                section.refuse(
                    "keys",
                    format_args!("more than {KEYS_TRIED_MAX} keys of one algorithm have no kid"),
                );
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests;
