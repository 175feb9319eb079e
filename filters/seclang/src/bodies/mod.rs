//! The body processors: what a body says as arguments, files and text, in one pass and bounded by [`Limits`].
//!
//! A body that cannot be read whole is an error ([`Body::error`], the rules' `REQBODY_ERROR`), and what could be read is
//! kept: rules look at both. The words of the errors are ModSecurity's, since rules and people search for them.

pub mod json;
pub mod multipart;
pub mod urlencoded;
pub mod xml;

use crate::pairs::Pairs;
use crate::rules::Settings;

/// What reads a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    Urlencoded,
    Multipart,
    Json,
    Xml,
    /// The body is only looked at as a whole.
    Raw,
}

impl Processor {
    /// By its name (`ctl:requestBodyProcessor=JSON`), in any case.
    pub fn parse(name: &str) -> Option<Self> {
        const ALL: [Processor; 5] = [
            Processor::Urlencoded,
            Processor::Multipart,
            Processor::Json,
            Processor::Xml,
            Processor::Raw,
        ];
        ALL.into_iter()
            .find(|processor| processor.name().eq_ignore_ascii_case(name))
    }

    /// As `REQBODY_PROCESSOR` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Urlencoded => "URLENCODED",
            Self::Multipart => "MULTIPART",
            Self::Json => "JSON",
            Self::Xml => "XML",
            Self::Raw => "RAW",
        }
    }

    /// What a body of this `Content-Type` is read by where no rule says so. JSON and XML are chosen by rules alone, as in
    /// ModSecurity.
    pub fn of_content_type(content_type: &[u8]) -> Option<Self> {
        let begins = |prefix: &[u8]| {
            content_type
                .get(..prefix.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
        };
        if begins(b"application/x-www-form-urlencoded") {
            Some(Self::Urlencoded)
        } else if begins(b"multipart/form-data") {
            Some(Self::Multipart)
        } else {
            None
        }
    }
}

/// What bounds a body processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many arguments a body may have; what comes after is an error.
    pub arguments: usize,
    /// Between the arguments of a form.
    pub argument_separator: u8,
    /// How deep JSON may nest.
    pub json_depth: usize,
    /// How many files an upload may have.
    pub files: usize,
    /// Bytes of a body without its files.
    pub no_files: Option<usize>,
}

impl Limits {
    /// As the directives set them.
    pub fn new(settings: &Settings) -> Self {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            arguments: size(u64::from(settings.arguments_limit)),
            argument_separator: settings.argument_separator,
            json_depth: size(u64::from(settings.request_body_json_depth_limit)),
            files: size(u64::from(settings.upload_file_limit)),
            no_files: settings.request_body_no_files_limit.map(size),
        }
    }
}

/// What a body says. Made once and cleared between exchanges, it keeps its memory.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// `ARGS_POST`, or `RESPONSE_ARGS`.
    pub arguments: Pairs,
    pub files: Vec<multipart::File>,
    /// `MULTIPART_PART_HEADERS`: name of the part, header line without its end.
    pub part_headers: Pairs,
    pub multipart: multipart::Flags,
    /// `XML:/*`: the text of the document.
    pub xml_text: Vec<u8>,
    /// `XML://@*`: names and values of all attributes.
    pub xml_attributes: Pairs,
    /// Of the first thing wrong.
    pub error: Option<Error>,
    /// `URLENCODED_ERROR`: a percent sign without two hexadecimal digits.
    pub urlencoded_error: bool,
}

impl Body {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        let Self {
            arguments,
            files,
            part_headers,
            multipart,
            xml_text,
            xml_attributes,
            error,
            urlencoded_error,
        } = self;
        arguments.clear();
        files.clear();
        part_headers.clear();
        *multipart = multipart::Flags::default();
        xml_text.clear();
        xml_attributes.clear();
        *error = None;
        *urlencoded_error = false;
    }

    /// Remembers the first error.
    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}

/// Why a body could not be read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// `REQBODY_ERROR_MSG`
    pub message: String,
    /// Whether its syntax is wrong (`REQBODY_PROCESSOR_ERROR`), not only its size.
    pub is_of_processor: bool,
}

impl Error {
    /// The body is not what its processor reads.
    fn syntax(message: String) -> Self {
        Self {
            message,
            is_of_processor: true,
        }
    }

    /// The body is more than a limit lets through.
    fn limit(message: String) -> Self {
        Self {
            message,
            is_of_processor: false,
        }
    }
}

/// Reads a body, of a request or a response, into `out`, which is cleared first. `content_type` matters to
/// [`Processor::Multipart`] only. The ranges of [`multipart::File`] are of `body`.
pub fn read(
    processor: Processor,
    body: &[u8],
    content_type: &[u8],
    limits: &Limits,
    out: &mut Body,
) {
    out.clear();
    let is_too_long = |size: usize| limits.no_files.is_some_and(|limit| size > limit);
    match processor {
        Processor::Raw => {}
        Processor::Multipart => {
            let size = multipart::read(body, content_type, limits, out);
            if is_too_long(size) {
                out.fail(too_long());
            }
        }
        // Reading what is too long may be what an attacker wants.
        _ if is_too_long(body.len()) => out.fail(too_long()),
        Processor::Urlencoded => read_urlencoded(body, limits, out),
        Processor::Json => json::read(body, limits, out),
        Processor::Xml => xml::read(body, out),
    }
}

fn too_long() -> Error {
    Error::limit("Request body excluding files is bigger than the maximum expected.".to_owned())
}

fn read_urlencoded(body: &[u8], limits: &Limits, out: &mut Body) {
    let outcome = urlencoded::parse(
        body,
        limits.argument_separator,
        limits.arguments,
        &mut out.arguments,
    );
    out.urlencoded_error = outcome.invalid_escape;
    if outcome.over_limit {
        out.fail(over_argument_limit(limits));
    }
}

/// For too many arguments in a query string, too.
pub fn over_argument_limit(limits: &Limits) -> Error {
    Error::limit(format!(
        "SecArgumentsLimit exceeded: more than {} arguments",
        limits.arguments
    ))
}

#[cfg(test)]
mod tests;
