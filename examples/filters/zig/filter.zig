//! The example filter in Zig. What it does is said in ../README.md.

const std = @import("std");
const proxy = @import("proxy_wasm.zig");

const json = std.json;
const allocator = proxy.allocator;

const call_milliseconds = 1000;

const Settings = struct { header: []const u8, value: []const u8, mask: []const u8, upstream: []const u8 };

/// By context: a VM may have several configurations, and the proxy makes a context for each.
var plugins: std.AutoHashMapUnmanaged(u32, Settings) = .empty;
/// The plugin of each stream.
var streams: std.AutoHashMapUnmanaged(u32, u32) = .empty;
/// Streams that wait for an answer, by the token of their callout.
var calls: std.AutoHashMapUnmanaged(u32, u32) = .empty;

comptime {
    // Its exports belong to the module.
    _ = proxy;
}

/// A panic ends the VM, and the proxy denies the exchange.
pub const panic = std.debug.FullPanic(struct {
    fn report(message: []const u8, _: ?usize) noreturn {
        proxy.log(.critical, message);
        @trap();
    }
}.report);

export fn proxy_on_context_create(id: u32, parent: u32) void {
    if (parent != 0) streams.put(allocator, id, parent) catch @panic("no memory");
}

export fn proxy_on_delete(id: u32) void {
    _ = streams.remove(id);
}

export fn proxy_on_configure(id: u32, _: usize) bool {
    const config = proxy.buffer(.plugin_configuration);
    defer allocator.free(config);
    // The settings stay for as long as the VM does.
    const settings = json.parseFromSliceLeaky(Settings, allocator, config, .{ .allocate = .alloc_always }) catch |err| {
        proxy.log(.err, "the configuration needs the texts header, value, mask and upstream:");
        proxy.log(.err, @errorName(err));
        return false;
    };
    plugins.put(allocator, id, settings) catch return false;
    return true;
}

fn settingsOf(stream: u32) Settings {
    return plugins.get(streams.get(stream).?).?;
}

export fn proxy_on_request_headers(id: u32, _: u32, end_of_stream: bool) proxy.Action {
    const settings = settingsOf(id);
    proxy.addHeader(.request_headers, settings.header, settings.value);
    // The body will have another length.
    if (!end_of_stream) proxy.removeHeader(.request_headers, "content-length");

    const path = proxy.header(.request_headers, ":path");
    defer allocator.free(path);
    const headers = [_]proxy.Pair{
        .{ ":method", "GET" },
        .{ ":path", "/check" },
        .{ ":authority", settings.upstream },
        .{ "x-path", path },
    };
    if (proxy.httpCall(settings.upstream, &headers, call_milliseconds)) |token| {
        calls.put(allocator, token, id) catch @panic("no memory");
    } else |_| {
        proxy.sendLocalResponse(503, "no policy service\n");
    }
    return .pause;
}

export fn proxy_on_http_call_response(_: u32, token: u32, _: u32, _: usize, _: u32) void {
    const waiting = calls.fetchRemove(token) orelse return;
    // The client may have gone meanwhile.
    if (!streams.contains(waiting.value)) return;
    const status = proxy.header(.call_response_headers, ":status");
    defer allocator.free(status);
    const user = proxy.header(.call_response_headers, "x-user");
    defer allocator.free(user);
    proxy.setEffectiveContext(waiting.value);
    // Nobody but the policy service says who it is.
    proxy.removeHeader(.request_headers, "x-user");
    if (user.len > 0) proxy.addHeader(.request_headers, "x-user", user);
    if (std.mem.eql(u8, status, "200")) {
        proxy.continueRequest();
    } else {
        proxy.sendLocalResponse(403, "denied by policy\n");
    }
}

/// The object with the member `name` replaced, or null where nothing is to be changed.
fn masked(arena: std.mem.Allocator, body: []const u8, name: []const u8) !?[]const u8 {
    // Numbers stay as they are written.
    const options: json.ParseOptions = .{ .duplicate_field_behavior = .use_last, .parse_numbers = false };
    var value = json.parseFromSliceLeaky(json.Value, arena, body, options) catch return null;
    if (value != .object or !value.object.contains(name)) return null;
    try value.object.put(arena, name, .{ .string = "***" });
    return try json.Stringify.valueAlloc(arena, value, .{});
}

export fn proxy_on_request_body(id: u32, _: usize, end_of_stream: bool) proxy.Action {
    if (!end_of_stream) return .pause;
    var arena: std.heap.ArenaAllocator = .init(allocator);
    defer arena.deinit();
    const body = proxy.buffer(.request_body);
    defer allocator.free(body);
    const changed = masked(arena.allocator(), body, settingsOf(id).mask) catch @panic("no memory");
    if (changed) |bytes| proxy.replaceBuffer(.request_body, bytes);
    return .@"continue";
}

export fn proxy_on_response_headers(id: u32, _: u32, _: bool) proxy.Action {
    const settings = settingsOf(id);
    proxy.addHeader(.response_headers, settings.header, settings.value);
    return .@"continue";
}
