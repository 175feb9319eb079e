//! The variables of the language: what a rule may look at.

/// Declares [`Variable`] with the spelling of each.
macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $kind:ident,)*) => {
        /// A variable, by ModSecurity's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Variable { $($(#[$doc])* $variant,)* }

        impl Variable {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As rules and logs spell it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether it holds one value, or many with names.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }
        }
    };
}

/// The shape of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value; a key makes no sense.
    Scalar,
    /// Values by name; a key chooses among them.
    Collection,
    /// Values of which each is the name of another collection's member; a key chooses by that name.
    Names,
}

variables! {
    Args = "ARGS" Collection,
    ArgsCombinedSize = "ARGS_COMBINED_SIZE" Scalar,
    ArgsGet = "ARGS_GET" Collection,
    ArgsGetNames = "ARGS_GET_NAMES" Names,
    ArgsNames = "ARGS_NAMES" Names,
    /// Filled by `@restpath`, as in Coraza.
    ArgsPath = "ARGS_PATH" Collection,
    ArgsPost = "ARGS_POST" Collection,
    ArgsPostNames = "ARGS_POST_NAMES" Names,
    AuthType = "AUTH_TYPE" Scalar,
    Duration = "DURATION" Scalar,
    Env = "ENV" Collection,
    Files = "FILES" Collection,
    FilesCombinedSize = "FILES_COMBINED_SIZE" Scalar,
    FilesNames = "FILES_NAMES" Names,
    FilesSizes = "FILES_SIZES" Collection,
    FilesTmpContent = "FILES_TMP_CONTENT" Collection,
    FilesTmpNames = "FILES_TMPNAMES" Collection,
    FullRequest = "FULL_REQUEST" Scalar,
    FullRequestLength = "FULL_REQUEST_LENGTH" Scalar,
    Geo = "GEO" Collection,
    Global = "GLOBAL" Collection,
    HighestSeverity = "HIGHEST_SEVERITY" Scalar,
    InboundDataError = "INBOUND_DATA_ERROR" Scalar,
    Ip = "IP" Collection,
    Json = "JSON" Collection,
    MatchedVar = "MATCHED_VAR" Scalar,
    MatchedVarName = "MATCHED_VAR_NAME" Scalar,
    MatchedVars = "MATCHED_VARS" Collection,
    MatchedVarsNames = "MATCHED_VARS_NAMES" Collection,
    ModsecBuild = "MODSEC_BUILD" Scalar,
    MscPcreError = "MSC_PCRE_ERROR" Scalar,
    MscPcreLimitsExceeded = "MSC_PCRE_LIMITS_EXCEEDED" Scalar,
    MultipartBoundaryQuoted = "MULTIPART_BOUNDARY_QUOTED" Scalar,
    MultipartBoundaryWhitespace = "MULTIPART_BOUNDARY_WHITESPACE" Scalar,
    MultipartCrlfLfLines = "MULTIPART_CRLF_LF_LINES" Scalar,
    MultipartDataAfter = "MULTIPART_DATA_AFTER" Scalar,
    MultipartDataBefore = "MULTIPART_DATA_BEFORE" Scalar,
    MultipartFileLimitExceeded = "MULTIPART_FILE_LIMIT_EXCEEDED" Scalar,
    MultipartFilename = "MULTIPART_FILENAME" Collection,
    MultipartHeaderFolding = "MULTIPART_HEADER_FOLDING" Scalar,
    MultipartInvalidHeaderFolding = "MULTIPART_INVALID_HEADER_FOLDING" Scalar,
    MultipartInvalidPart = "MULTIPART_INVALID_PART" Scalar,
    MultipartInvalidQuoting = "MULTIPART_INVALID_QUOTING" Scalar,
    MultipartLfLine = "MULTIPART_LF_LINE" Scalar,
    MultipartMissingSemicolon = "MULTIPART_MISSING_SEMICOLON" Scalar,
    MultipartName = "MULTIPART_NAME" Collection,
    MultipartPartHeaders = "MULTIPART_PART_HEADERS" Collection,
    MultipartStrictError = "MULTIPART_STRICT_ERROR" Scalar,
    MultipartUnmatchedBoundary = "MULTIPART_UNMATCHED_BOUNDARY" Scalar,
    OutboundDataError = "OUTBOUND_DATA_ERROR" Scalar,
    PathInfo = "PATH_INFO" Scalar,
    QueryString = "QUERY_STRING" Scalar,
    RemoteAddr = "REMOTE_ADDR" Scalar,
    RemoteHost = "REMOTE_HOST" Scalar,
    RemotePort = "REMOTE_PORT" Scalar,
    RemoteUser = "REMOTE_USER" Scalar,
    ReqbodyError = "REQBODY_ERROR" Scalar,
    ReqbodyErrorMsg = "REQBODY_ERROR_MSG" Scalar,
    ReqbodyProcessor = "REQBODY_PROCESSOR" Scalar,
    ReqbodyProcessorError = "REQBODY_PROCESSOR_ERROR" Scalar,
    ReqbodyProcessorErrorMsg = "REQBODY_PROCESSOR_ERROR_MSG" Scalar,
    RequestBasename = "REQUEST_BASENAME" Scalar,
    RequestBody = "REQUEST_BODY" Scalar,
    RequestBodyLength = "REQUEST_BODY_LENGTH" Scalar,
    RequestCookies = "REQUEST_COOKIES" Collection,
    RequestCookiesNames = "REQUEST_COOKIES_NAMES" Names,
    RequestFilename = "REQUEST_FILENAME" Scalar,
    RequestHeaders = "REQUEST_HEADERS" Collection,
    RequestHeadersNames = "REQUEST_HEADERS_NAMES" Names,
    RequestLine = "REQUEST_LINE" Scalar,
    RequestMethod = "REQUEST_METHOD" Scalar,
    RequestProtocol = "REQUEST_PROTOCOL" Scalar,
    RequestUri = "REQUEST_URI" Scalar,
    RequestUriRaw = "REQUEST_URI_RAW" Scalar,
    ResbodyError = "RESBODY_ERROR" Scalar,
    ResbodyErrorMsg = "RESBODY_ERROR_MSG" Scalar,
    ResbodyProcessor = "RESBODY_PROCESSOR" Scalar,
    ResbodyProcessorError = "RESBODY_PROCESSOR_ERROR" Scalar,
    ResbodyProcessorErrorMsg = "RESBODY_PROCESSOR_ERROR_MSG" Scalar,
    Resource = "RESOURCE" Collection,
    ResponseArgs = "RESPONSE_ARGS" Collection,
    ResponseBody = "RESPONSE_BODY" Scalar,
    ResponseContentLength = "RESPONSE_CONTENT_LENGTH" Scalar,
    ResponseContentType = "RESPONSE_CONTENT_TYPE" Scalar,
    ResponseHeaders = "RESPONSE_HEADERS" Collection,
    ResponseHeadersNames = "RESPONSE_HEADERS_NAMES" Names,
    ResponseProtocol = "RESPONSE_PROTOCOL" Scalar,
    ResponseStatus = "RESPONSE_STATUS" Scalar,
    ResponseXml = "RESPONSE_XML" Collection,
    /// Members `id`, `rev`, `severity`, `logdata`, `msg` of the rule being run.
    Rule = "RULE" Collection,
    ServerAddr = "SERVER_ADDR" Scalar,
    ServerName = "SERVER_NAME" Scalar,
    ServerPort = "SERVER_PORT" Scalar,
    Session = "SESSION" Collection,
    SessionId = "SESSIONID" Scalar,
    StatusLine = "STATUS_LINE" Scalar,
    Time = "TIME" Scalar,
    TimeDay = "TIME_DAY" Scalar,
    TimeEpoch = "TIME_EPOCH" Scalar,
    TimeHour = "TIME_HOUR" Scalar,
    TimeMin = "TIME_MIN" Scalar,
    TimeMon = "TIME_MON" Scalar,
    TimeSec = "TIME_SEC" Scalar,
    TimeWday = "TIME_WDAY" Scalar,
    TimeYear = "TIME_YEAR" Scalar,
    Tx = "TX" Collection,
    UniqueId = "UNIQUE_ID" Scalar,
    UrlencodedError = "URLENCODED_ERROR" Scalar,
    User = "USER" Collection,
    UserId = "USERID" Scalar,
    Webappid = "WEBAPPID" Scalar,
    /// Its key is an XPath expression: `/*`, `//@*`.
    Xml = "XML" Collection,
}

impl Variable {
    /// By its name, in any case. `MULTIPART_SEMICOLON_MISSING` and `STATUS` are other names that ModSecurity has.
    pub fn parse(name: &str) -> Option<Self> {
        let same = |other: &str| name.eq_ignore_ascii_case(other);
        if same("MULTIPART_SEMICOLON_MISSING") {
            return Some(Self::MultipartMissingSemicolon);
        }
        if same("STATUS") {
            return Some(Self::ResponseStatus);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|variable| variable.name().eq_ignore_ascii_case(name))
    }
}
