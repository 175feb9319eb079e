//! What a client is told whose request or response is refused.

use portcullis_filter_settings::Section;

/// In a page and in an address: the id of the request.
const REQUEST_ID: &str = "{request_id}";
const PAGE_DEFAULT: &str = "The request was refused. Its id is {request_id}.\n";

/// The answer to what is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// In place of 403. A rule that names another status keeps it.
    pub status: Option<u16>,
    pub page: String,
    pub content_type: String,
    /// Where clients are sent instead.
    pub redirect: Option<String>,
}

/// A refusal, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub status: u16,
    pub fields: Vec<(&'static str, String)>,
    pub body: String,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            status: None,
            page: PAGE_DEFAULT.to_owned(),
            content_type: "text/plain; charset=utf-8".to_owned(),
            redirect: None,
        }
    }
}

impl Block {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let status = section.number("status", 200..=599);
        let page = section.text("page");
        let content_type = section.text("content_type");
        let redirect = section.text("redirect");
        if let Some(address) = &redirect
            && address.chars().any(char::is_control)
        {
            section.refuse("redirect", "has control characters");
        }
        if let Some(content_type) = &content_type
            && !content_type
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte))
        {
            section.refuse("content_type", "is not a media type");
        }
        section.finish();
        let is_html = page
            .as_ref()
            .is_some_and(|page| page.trim_start().starts_with('<'));
        let default = Self::default();
        Self {
            status: status.and_then(|status| u16::try_from(status).ok()),
            content_type: match content_type {
                Some(content_type) => content_type,
                None if is_html => "text/html; charset=utf-8".to_owned(),
                None => default.content_type,
            },
            page: page.unwrap_or(default.page),
            redirect,
        }
    }

    /// The answer to a refusal with `status`. `redirect`: a rule wants it so.
    #[must_use]
    pub fn denial(&self, status: u16, redirect: Option<&str>, request_id: &str) -> Denial {
        // The id comes from a client, where the proxy takes theirs.
        let id: String = request_id
            .chars()
            .filter(|character| character.is_ascii_alphanumeric() || "-_.".contains(*character))
            .collect();
        let own = self.redirect.as_deref().filter(|_| status == 403);
        if let Some(address) = redirect.or(own) {
            let status = if (300..400).contains(&status) {
                status
            } else {
                302
            };
            return Denial {
                status,
                fields: vec![("location", address.replace(REQUEST_ID, &id))],
                body: String::new(),
            };
        }
        let status = match self.status {
            Some(own) if status == 403 => own,
            _ => status,
        };
        Denial {
            status,
            fields: vec![
                ("content-type", self.content_type.clone()),
                ("cache-control", "no-store".to_owned()),
            ],
            body: self.page.replace(REQUEST_ID, &id),
        }
    }
}
