//! Bindings of the proxy-wasm ABI 0.2.1 (https://github.com/proxy-wasm/spec): what the example needs, by its names there.

const std = @import("std");

/// All memory of the filter, what the proxy hands over included.
pub const allocator = std.heap.wasm_allocator;

pub const LogLevel = enum(u32) { trace, debug, info, warn, err, critical };

/// What a callback answers. A paused stream waits for `continueRequest`.
pub const Action = enum(u32) { @"continue", pause };

pub const Map = enum(u32) { request_headers = 0, response_headers = 2, call_response_headers = 6 };

pub const Buffer = enum(u32) { request_body = 0, plugin_configuration = 7 };

pub const Pair = struct { []const u8, []const u8 };

const Status = enum(u32) { ok, _ };
const request_stream: u32 = 0;

extern "env" fn proxy_log(level: LogLevel, message: [*]const u8, size: usize) Status;
extern "env" fn proxy_get_buffer_bytes(buffer: Buffer, start: usize, max: usize, bytes: *?[*]u8, size: *usize) Status;
extern "env" fn proxy_set_buffer_bytes(buffer: Buffer, start: usize, replaced: usize, bytes: [*]const u8, size: usize) Status;
extern "env" fn proxy_get_header_map_value(map: Map, name: [*]const u8, name_size: usize, value: *?[*]u8, size: *usize) Status;
extern "env" fn proxy_add_header_map_value(map: Map, name: [*]const u8, name_size: usize, value: [*]const u8, size: usize) Status;
extern "env" fn proxy_remove_header_map_value(map: Map, name: [*]const u8, name_size: usize) Status;
extern "env" fn proxy_set_effective_context(context: u32) Status;
extern "env" fn proxy_continue_stream(stream: u32) Status;
extern "env" fn proxy_send_local_response(status: u32, details: ?[*]const u8, details_size: usize, body: [*]const u8, body_size: usize, headers: ?[*]const u8, headers_size: usize, grpc_status: i32) Status;
extern "env" fn proxy_http_call(upstream: [*]const u8, upstream_size: usize, headers: [*]const u8, headers_size: usize, body: ?[*]const u8, body_size: usize, trailers: ?[*]const u8, trailers_size: usize, timeout_milliseconds: u32, token: *u32) Status;

export fn proxy_abi_version_0_2_1() void {}

export fn proxy_on_memory_allocate(size: usize) ?[*]u8 {
    const memory = allocator.alloc(u8, size) catch return null;
    return memory.ptr;
}

pub fn log(level: LogLevel, message: []const u8) void {
    _ = proxy_log(level, message.ptr, message.len);
}

fn given(bytes: ?[*]u8, size: usize) []u8 {
    return if (bytes) |at| at[0..size] else &.{};
}

/// All of a buffer, empty where there is none. The caller frees it.
pub fn buffer(which: Buffer) []u8 {
    var bytes: ?[*]u8 = null;
    var size: usize = 0;
    _ = proxy_get_buffer_bytes(which, 0, std.math.maxInt(i32), &bytes, &size);
    return given(bytes, size);
}

pub fn replaceBuffer(which: Buffer, bytes: []const u8) void {
    _ = proxy_set_buffer_bytes(which, 0, std.math.maxInt(i32), bytes.ptr, bytes.len);
}

/// The first value of a header, empty where there is none. The caller frees it.
pub fn header(map: Map, name: []const u8) []u8 {
    var bytes: ?[*]u8 = null;
    var size: usize = 0;
    _ = proxy_get_header_map_value(map, name.ptr, name.len, &bytes, &size);
    return given(bytes, size);
}

pub fn addHeader(map: Map, name: []const u8, value: []const u8) void {
    _ = proxy_add_header_map_value(map, name.ptr, name.len, value.ptr, value.len);
}

pub fn removeHeader(map: Map, name: []const u8) void {
    _ = proxy_remove_header_map_value(map, name.ptr, name.len);
}

/// The callbacks of a callout come for the plugin's context: what follows is about this stream.
pub fn setEffectiveContext(context: u32) void {
    _ = proxy_set_effective_context(context);
}

pub fn continueRequest() void {
    _ = proxy_continue_stream(request_stream);
}

pub fn sendLocalResponse(status: u32, body: []const u8) void {
    _ = proxy_send_local_response(status, null, 0, body.ptr, body.len, null, 0, -1);
}

/// As the ABI has them.
fn encoded(pairs: []const Pair) ![]u8 {
    var out: std.ArrayList(u8) = .empty;
    errdefer out.deinit(allocator);
    var number: [4]u8 = undefined;
    std.mem.writeInt(u32, &number, @intCast(pairs.len), .little);
    try out.appendSlice(allocator, &number);
    for (pairs) |pair| inline for (pair) |text| {
        std.mem.writeInt(u32, &number, @intCast(text.len), .little);
        try out.appendSlice(allocator, &number);
    };
    for (pairs) |pair| inline for (pair) |text| {
        try out.appendSlice(allocator, text);
        try out.append(allocator, 0);
    };
    return out.toOwnedSlice(allocator);
}

/// The token of the callout.
pub fn httpCall(upstream: []const u8, headers: []const Pair, timeout_milliseconds: u32) !u32 {
    const map = try encoded(headers);
    defer allocator.free(map);
    var token: u32 = 0;
    return switch (proxy_http_call(upstream.ptr, upstream.len, map.ptr, map.len, null, 0, null, 0, timeout_milliseconds, &token)) {
        .ok => token,
        else => error.Refused,
    };
}
