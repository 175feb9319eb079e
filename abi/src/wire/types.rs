//! Numbers of the proxy-wasm ABI (specification 0.2.1, "Built-in types").

/// What a hostcall answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
    Unimplemented = 12,
}

impl Status {
    /// The number that goes to the guest.
    #[allow(
        clippy::as_conversions,
        reason = "the discriminant is the ABI's number"
    )]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// Declares an ABI enum with its only way in: a checked conversion from the guest's number.
macro_rules! abi_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $value:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name { $($(#[$variant_meta])* $variant = $value),+ }

        impl $name {
            /// The ABI's number.
            #[allow(clippy::as_conversions, reason = "the discriminant is the ABI's number")]
            pub const fn number(self) -> u32 {
                self as u32
            }
        }

        impl TryFrom<u32> for $name {
            type Error = Status;

            fn try_from(value: u32) -> Result<Self, Status> {
                match value {
                    $($value => Ok(Self::$variant),)+
                    _ => Err(Status::BadArgument),
                }
            }
        }
    };
}

abi_enum! {
    /// `proxy_map_type_t`
    MapType {
        RequestHeaders = 0,
        RequestTrailers = 1,
        ResponseHeaders = 2,
        ResponseTrailers = 3,
        GrpcCallInitialMetadata = 4,
        GrpcCallTrailingMetadata = 5,
        HttpCallResponseHeaders = 6,
        HttpCallResponseTrailers = 7,
    }
}

abi_enum! {
    /// `proxy_buffer_type_t`
    BufferType {
        RequestBody = 0,
        ResponseBody = 1,
        DownstreamData = 2,
        UpstreamData = 3,
        HttpCallResponseBody = 4,
        GrpcCallMessage = 5,
        VmConfiguration = 6,
        PluginConfiguration = 7,
        /// Arguments or results of a foreign function.
        CallData = 8,
    }
}

abi_enum! {
    /// `proxy_stream_type_t`
    StreamType {
        HttpRequest = 0,
        HttpResponse = 1,
        Downstream = 2,
        Upstream = 3,
    }
}

abi_enum! {
    /// `proxy_log_level_t`
    LogLevel {
        Trace = 0,
        Debug = 1,
        Info = 2,
        Warn = 3,
        Error = 4,
        Critical = 5,
    }
}

abi_enum! {
    /// `proxy_metric_type_t`
    MetricType {
        Counter = 0,
        Gauge = 1,
        Histogram = 2,
    }
}

abi_enum! {
    /// `proxy_peer_type_t`
    PeerType {
        Unknown = 0,
        /// This proxy.
        Local = 1,
        /// The client, or the origin.
        Remote = 2,
    }
}

/// What a headers callback answers (Envoy's `FilterHeadersStatus`; the specification names only the first two).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadersAction {
    Continue,
    StopIteration,
    ContinueAndEndStream,
    StopAllIterationAndBuffer,
    StopAllIterationAndWatermark,
}

/// What a body callback answers (Envoy's `FilterDataStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataAction {
    Continue,
    StopIterationAndBuffer,
    StopIterationAndWatermark,
    StopIterationNoBuffer,
}

/// What a trailers callback answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailersAction {
    Continue,
    StopIteration,
}

/// What the callbacks of a TCP connection answer (Envoy's `FilterStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionAction {
    Continue,
    StopIteration,
}
