//! What a script may say.

use std::collections::HashMap;

use serde::Deserialize;

/// A plugin's whole behaviour.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// Its streams are TCP connections; else they are exchanges.
    #[serde(default)]
    pub(crate) tcp: bool,
    /// Period of `proxy_on_tick`, in milliseconds; none without it.
    pub(crate) tick_ms: Option<u64>,
    #[serde(default)]
    pub(crate) on: HashMap<Event, Vec<Op>>,
    /// Not looked at: lets a test tell two otherwise equal configurations apart.
    #[serde(default, rename = "note")]
    pub(crate) _note: serde_json::Value,
}

/// A callback of the ABI, or a moment inside one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    VmStart,
    Configure,
    Tick,
    QueueReady,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    NewConnection,
    DownstreamData,
    UpstreamData,
    /// `Size` tells who closed: 1 this proxy, 2 the other side.
    DownstreamClose,
    UpstreamClose,
    /// Each answered callout.
    CallResponse,
    /// The last outstanding callout of a stream was answered; runs after its `CallResponse`.
    CallsDone,
    /// The answer to a gRPC call.
    GrpcAnswer,
    GrpcInitialMetadata,
    GrpcMessage,
    GrpcTrailingMetadata,
    GrpcClose,
    /// The result of a foreign function that answers later; runs for the stream that asked last.
    ForeignFunction,
    /// A stream that waited by `resume_on_tick` is about to be resumed.
    Woken,
    Log,
    Done,
    PluginDone,
    Delete,
}

/// A header map or trailer map of the exchange.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Map {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    CallHeaders,
    CallTrailers,
}

/// One step. Where an operation names a header to write to (`to`), it goes to the current map: that of the callback,
/// or the one chosen by `map`. A TCP connection has none: there it is a line of log, `name=value`. `request` and
/// `response` are the client's and the origin's direction there.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    /// Only for requests whose `x-do` header has this value.
    When(String, Vec<Self>),
    /// Only when the callback says that the stream ends.
    AtEnd(Vec<Self>),
    /// Only when the current map's header has this value.
    If(String, String, Vec<Self>),
    /// Only when it has not.
    Unless(String, String, Vec<Self>),
    Map(Map),

    Add(String, String),
    Set(String, String),
    Remove(String),
    SetAll(Vec<(String, String)>),
    /// First value of a header to another.
    Copy(String, String),
    /// All values of a header, joined by `|`, to another.
    List(String, String),
    /// How many entries the map has.
    Count(String),
    /// A value with CR and LF in it, which would split the message.
    BadHeader,

    /// Pauses until the body is complete; what follows runs once, on the whole of it.
    Buffer,
    Append(String),
    Prepend(String),
    Replace(String),
    /// Rewrites the visible body in upper case.
    Upper,
    /// The callback's size argument.
    Size(String),
    /// Pauses until this many bytes are visible.
    Gather(usize),
    /// Only when the visible body contains the text.
    IfBody(String, Vec<Self>),
    /// A reply if the visible body contains the text.
    ReplyIfBody(String, u32),

    Pause,
    Resume(Half),
    ResumeOnTick,
    Reply(Reply),
    Close(Half),

    Call(Call),
    /// `:status` of the callout's answer.
    CallStatus(String),
    CallBody(String),

    /// A foreign function, its argument in hexadecimal, and where its result goes, in hexadecimal or as a status.
    Foreign(String, String, String),
    /// Makes an expression of CEL, evaluates it, and deletes it.
    Expression(String, String),
    /// The result at hand, in hexadecimal.
    ForeignResult(String),

    GrpcCall(GrpcCall),
    /// Opens a stream, which the next three are about.
    GrpcStream(GrpcCall),
    /// A message, and whether it is the last.
    GrpcSend(String, bool),
    GrpcClose,
    GrpcCancel,
    /// The message at hand.
    GrpcMessage(String),
    /// A value of the metadata at hand.
    GrpcMetadata(String, String),
    /// The code and text of the end at hand.
    GrpcStatus(String),

    /// A property read as text; `-` where there is none. The path's segments are joined by dots.
    Property(String, String),
    /// A property of 8 bytes, little endian.
    PropertyNumber(String, String),
    /// A property of 1 byte.
    PropertyFlag(String, String),
    /// How many bytes a property has; `-` where there is none.
    PropertySize(String, String),
    SetProperty(String, String),

    /// Adds one to a counter in shared data, by compare and swap until it succeeds.
    ShareIncrement(String),
    ShareGet(String, String),
    ShareSet(String, String),
    /// Writes with a compare-and-swap token that cannot be right; the status goes to a header.
    ShareStale(String, String),

    QueueRegister(String),
    /// vm_id, queue, item. The outcome goes to `x-queue` of the current map.
    Enqueue(String, String, String),
    /// Takes all items of the ready queue and appends them to a shared-data value.
    Dequeue(String),

    Counter(String, i64),
    Gauge(String, u64),
    Histogram(String, u64),
    /// Value of a metric defined before.
    MetricValue(String, String),

    Log(Level, String),
    /// This many lines in a row.
    LogFlood(u32),
    VmConfig(String),
    PluginConfig(String),
    Env(String, String),
    /// Seconds since 1970.
    Clock(String),

    /// The start callbacks answer false, and so does `plugin_done`: it is not done yet.
    Fail,
    /// What was not done is.
    Done,
    /// Period of `proxy_on_tick` from now on, in milliseconds.
    Tick(u64),
    Panic,
    Trap,
    Loop,
    EatMemory,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Half {
    Request,
    Response,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) body: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) upstream: String,
    #[serde(default = "root_path")]
    pub(crate) path: String,
    #[serde(default = "get")]
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) body: String,
    #[serde(default = "five_seconds")]
    pub(crate) timeout_ms: u64,
    /// Header that tells why the call was refused.
    pub(crate) refused: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcCall {
    pub(crate) upstream: String,
    pub(crate) service: String,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) metadata: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default = "five_seconds")]
    pub(crate) timeout_ms: u64,
    /// Header that tells why the call was refused.
    pub(crate) refused: Option<String>,
}

fn root_path() -> String {
    "/".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

fn five_seconds() -> u64 {
    5000
}
