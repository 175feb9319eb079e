//! Reads variables: from what is known of the exchange to members with texts.

use crate::bodies::Body;
use crate::bodies::xml::Selection;
use crate::pairs::Pairs;
use crate::plan::selectors::{Matcher, Selector};
use crate::transaction::Transaction;
use crate::transaction::derived::{
    authorization, full_request, multipart_flag, of_processor, processor_name, remote_user,
    server_name,
};
use crate::transaction::host::Host;
use crate::transaction::texts::{EMPTY, TextId};
use crate::transaction::time::Calendar;
use crate::uri;
use crate::variables::Variable;

/// A value that a rule may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub variable: Variable,
    /// Empty where the variable has no members.
    pub name: TextId,
    pub value: TextId,
}

impl Transaction {
    /// Adds what a selection means to `out`.
    pub(super) fn read(&mut self, selector: &Selector, host: &dyn Host, out: &mut Vec<Member>) {
        let variable = selector.variable;
        let Self {
            texts,
            data,
            tx,
            plan,
            ..
        } = self;
        let mut into = Into {
            texts,
            variable,
            key: &selector.key,
            out,
        };
        let request = &data.request;
        let response = &data.response;
        let body = &request.parsed;
        match variable {
            Variable::Args => {
                into.pairs(&request.query);
                into.pairs(&body.arguments);
            }
            Variable::ArgsGet => into.pairs(&request.query),
            Variable::ArgsPost => into.pairs(&body.arguments),
            Variable::ArgsNames => {
                into.names(&request.query);
                into.names(&body.arguments);
            }
            Variable::ArgsGetNames => into.names(&request.query),
            Variable::ArgsPostNames => into.names(&body.arguments),
            Variable::ArgsCombinedSize => {
                into.number(request.query.size() + body.arguments.size());
            }
            Variable::ArgsPath => into.pairs(&self.path_arguments),
            Variable::RequestHeaders => into.pairs(&request.headers),
            Variable::RequestHeadersNames => into.names(&request.headers),
            Variable::RequestCookies => into.pairs(&request.cookies),
            Variable::RequestCookiesNames => into.names(&request.cookies),
            Variable::ResponseHeaders => into.pairs(&response.headers),
            Variable::ResponseHeadersNames => into.names(&response.headers),
            Variable::Json => into.pairs(&body.arguments),
            Variable::Tx => {
                for (name, value) in tx.iter(&plan.tx_names) {
                    into.member(name.as_bytes(), value);
                }
            }
            Variable::Xml => into.xml(body, &selector.key),
            Variable::ResponseXml => into.xml(&response.parsed, &selector.key),
            Variable::ResponseArgs => into.pairs(&response.parsed.arguments),
            Variable::Files
            | Variable::FilesNames
            | Variable::FilesSizes
            | Variable::FilesTmpNames
            | Variable::FilesTmpContent
            | Variable::FilesCombinedSize
            | Variable::MultipartFilename
            | Variable::MultipartName
            | Variable::MultipartPartHeaders => into.files(body, &request.body),
            Variable::MatchedVar
            | Variable::MatchedVarName
            | Variable::MatchedVars
            | Variable::MatchedVarsNames => self.read_matched(selector, out),
            Variable::Ip
            | Variable::Global
            | Variable::Session
            | Variable::User
            | Variable::Resource => {
                for (name, value) in self.persistent.members(variable, host.now()) {
                    into.member(name.as_bytes(), value);
                }
            }
            Variable::Geo => {
                for (name, value) in &self.geo {
                    into.member(name.as_bytes(), value.as_bytes());
                }
            }
            Variable::Env => {
                for (name, value) in &self.env {
                    into.member(name.as_bytes(), value.as_bytes());
                }
                if let Matcher::Name(name) = &selector.key
                    && let Some(value) = host.env(name)
                {
                    into.member(name.as_bytes(), value.as_bytes());
                }
            }
            Variable::Rule => {
                let members = self.rule_members();
                let mut into = Into {
                    texts: &mut self.texts,
                    variable,
                    key: &selector.key,
                    out,
                };
                for (name, value) in members {
                    into.member(name.as_bytes(), value.as_bytes());
                }
            }
            _ => self.read_scalar(variable, host, out),
        }
    }

    /// The variables that hold one value.
    fn read_scalar(&mut self, variable: Variable, host: &dyn Host, out: &mut Vec<Member>) {
        let Self { texts, data, .. } = self;
        let mut into = Into {
            texts,
            variable,
            key: &Matcher::All,
            out,
        };
        let (request, response) = (&data.request, &data.response);
        let body = &request.parsed;
        match variable {
            Variable::RequestMethod => into.value(&request.method),
            Variable::RequestProtocol => into.value(&request.protocol),
            Variable::RequestLine => into.value(&request.line),
            Variable::RequestUri => into.value(request.uri().uri),
            Variable::RequestUriRaw => into.value(&request.target),
            Variable::RequestFilename | Variable::PathInfo => {
                into.value(&request.path);
            }
            Variable::RequestBasename => into.value(uri::basename(&request.path)),
            Variable::QueryString => into.value(request.uri().query),
            Variable::RequestBody => {
                if request.body_visible {
                    into.value(&request.body);
                }
            }
            Variable::RequestBodyLength => into.number(request.body_length),
            Variable::FullRequest => {
                let full = full_request(request);
                into.value(&full);
            }
            Variable::FullRequestLength => into.number(full_request(request).len()),
            Variable::ReqbodyProcessor => into.value(processor_name(request.processor)),
            Variable::ResbodyProcessor => into.value(processor_name(response.processor)),
            Variable::ReqbodyError => into.flag(request.error().is_some()),
            Variable::ReqbodyErrorMsg => into.text(request.error()),
            Variable::ReqbodyProcessorError => into.flag(of_processor(body).is_some()),
            Variable::ReqbodyProcessorErrorMsg => into.text(of_processor(body)),
            Variable::ResbodyError => into.flag(response.parsed.error.is_some()),
            Variable::ResbodyErrorMsg => {
                let error = response.parsed.error.as_ref();
                into.text(error.map(|error| error.message.as_str()));
            }
            Variable::ResbodyProcessorError => {
                into.flag(of_processor(&response.parsed).is_some());
            }
            Variable::ResbodyProcessorErrorMsg => into.text(of_processor(&response.parsed)),
            Variable::UrlencodedError => {
                into.flag(body.urlencoded_error || request.query_outcome.invalid_escape);
            }
            Variable::InboundDataError => into.flag(request.body_exceeded),
            Variable::OutboundDataError => into.flag(response.body_exceeded),
            Variable::RemoteAddr => into.value(data.client_address.as_bytes()),
            // Names are not looked up: that would let a stranger's name server hold the request.
            Variable::RemoteHost => into.value(data.client_address.as_bytes()),
            Variable::RemotePort => into.number(data.client_port),
            Variable::ServerAddr => into.value(data.server_address.as_bytes()),
            Variable::ServerPort => into.number(data.server_port),
            Variable::ServerName => into.value(server_name(request)),
            Variable::AuthType => into.value(authorization(request).0),
            Variable::RemoteUser => {
                let user = remote_user(request);
                into.value(&user);
            }
            Variable::ResponseStatus => into.number(response.status),
            Variable::ResponseProtocol => into.value(&response.protocol),
            Variable::StatusLine => {
                let mut line = response.protocol.clone();
                line.extend_from_slice(format!(" {}", response.status).as_bytes());
                into.value(&line);
            }
            Variable::ResponseBody => into.value(&response.body),
            Variable::ResponseContentType => {
                into.value(response.media_type().unwrap_or_default().as_bytes());
            }
            Variable::ResponseContentLength => into.number(response.body_length),
            Variable::UniqueId => into.value(data.unique_id.as_bytes()),
            Variable::ModsecBuild => into.value(crate::transaction::MODSEC_BUILD.as_bytes()),
            // Expressions here take linear time and have no limit to exceed.
            Variable::MscPcreError | Variable::MscPcreLimitsExceeded => into.flag(false),
            Variable::HighestSeverity => into.number(self.highest_severity),
            Variable::Duration => {
                let spent = host.now().saturating_sub(data.began);
                into.number(spent.as_millis());
            }
            Variable::Webappid => {
                let id = self.plan.settings.web_app_id.as_deref();
                into.value(id.unwrap_or_default().as_bytes());
            }
            Variable::SessionId | Variable::UserId => {
                let id = self.persistent.identity(match variable {
                    Variable::SessionId => Variable::Session,
                    _ => Variable::User,
                });
                into.value(id);
            }
            _ => match multipart_flag(&body.multipart, variable) {
                Some(flag) => into.number(flag),
                None => into.time(host),
            },
        }
    }

    fn read_matched(&mut self, selector: &Selector, out: &mut Vec<Member>) {
        let variable = selector.variable;
        let last = self.matched.len().saturating_sub(1);
        let from = match variable {
            Variable::MatchedVar | Variable::MatchedVarName => last,
            _ => 0,
        };
        for index in from..self.matched.len() {
            let Some(matched) = self.matched.get(index).copied() else {
                break;
            };
            let full = self.full_name(&matched.member, matched.count);
            if !selector.key.matches(&full) {
                continue;
            }
            let full = self.texts.intern(&full);
            let (name, value) = match variable {
                Variable::MatchedVar => (EMPTY, matched.member.value),
                Variable::MatchedVarName => (EMPTY, full),
                Variable::MatchedVars => (full, matched.member.value),
                _ => (full, full),
            };
            out.push(Member {
                variable,
                name,
                value,
            });
        }
    }

    /// `ARGS:q`, `REQUEST_URI`, `&ARGS`.
    pub(super) fn full_name(&self, member: &Member, count: bool) -> Vec<u8> {
        let mut full = Vec::new();
        if count {
            full.push(b'&');
        }
        full.extend_from_slice(member.variable.name().as_bytes());
        if member.name != EMPTY {
            full.push(b':');
            full.extend_from_slice(self.texts.get(member.name));
        }
        full
    }
}

/// Where members go.
struct Into<'a> {
    texts: &'a mut super::texts::Texts,
    variable: Variable,
    key: &'a Matcher,
    out: &'a mut Vec<Member>,
}

impl Into<'_> {
    /// A member that the key does not mean is not even made a text.
    fn member(&mut self, name: &[u8], value: &[u8]) {
        if !self.key.matches(name) {
            return;
        }
        let member = Member {
            variable: self.variable,
            name: self.texts.intern(name),
            value: self.texts.intern(value),
        };
        self.out.push(member);
    }

    fn value(&mut self, value: &[u8]) {
        self.member(b"", value);
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        self.value(number.to_string().as_bytes());
    }

    fn text(&mut self, text: Option<&str>) {
        self.value(text.unwrap_or_default().as_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.value(if flag { b"1" } else { b"0" });
    }

    fn pairs(&mut self, pairs: &Pairs) {
        for (name, value) in pairs.iter() {
            self.member(name, value);
        }
    }

    fn names(&mut self, pairs: &Pairs) {
        for (name, _) in pairs.iter() {
            self.member(name, name);
        }
    }

    fn xml(&mut self, body: &Body, key: &Matcher) {
        let Matcher::XPath(path) = key else {
            return;
        };
        match Selection::parse(path) {
            Some(Selection::Text) if !body.xml_text.is_empty() => {
                self.member(path.as_bytes(), &body.xml_text);
            }
            Some(Selection::Attributes) => {
                for (_, value) in body.xml_attributes.iter() {
                    self.member(path.as_bytes(), value);
                }
            }
            _ => {}
        }
    }

    fn files(&mut self, body: &Body, bytes: &[u8]) {
        match self.variable {
            Variable::FilesCombinedSize => {
                let sizes = body.files.iter().map(|file| file.content.len());
                self.number(sizes.sum::<usize>());
            }
            Variable::MultipartPartHeaders => self.pairs(&body.part_headers),
            Variable::MultipartName => {
                for file in &body.files {
                    self.member(&file.name, &file.name);
                }
            }
            _ => {
                for file in &body.files {
                    let size = file.content.len().to_string();
                    let value: &[u8] = match self.variable {
                        Variable::FilesNames => &file.name,
                        Variable::FilesSizes => size.as_bytes(),
                        Variable::FilesTmpContent => {
                            bytes.get(file.content.clone()).unwrap_or_default()
                        }
                        // No file is ever stored.
                        Variable::FilesTmpNames => b"",
                        _ => &file.filename,
                    };
                    self.member(&file.name, value);
                    if let (Variable::Files, Some(name)) = (self.variable, &file.extended_filename)
                    {
                        self.member(&file.name, name);
                    }
                }
            }
        }
    }

    fn time(&mut self, host: &dyn Host) {
        let now = host.now().as_secs();
        let calendar = Calendar::utc(now);
        match self.variable {
            Variable::Time => self.value(
                format!(
                    "{:02}:{:02}:{:02}",
                    calendar.hour, calendar.minute, calendar.second
                )
                .as_bytes(),
            ),
            Variable::TimeEpoch => self.number(now),
            Variable::TimeYear => self.number(calendar.year),
            Variable::TimeMon => self.number(calendar.month0),
            Variable::TimeDay => self.number(calendar.day),
            Variable::TimeHour => self.number(calendar.hour),
            Variable::TimeMin => self.number(calendar.minute),
            Variable::TimeSec => self.number(calendar.second),
            Variable::TimeWday => self.number(calendar.weekday),
            _ => {}
        }
    }
}
