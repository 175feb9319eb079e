// Bindings of the proxy-wasm ABI 0.2.1 (https://github.com/proxy-wasm/spec): what the example needs, by its names there.

export const OK: u32 = 0;

export namespace LogLevel {
  export const INFO: u32 = 2;
  export const ERROR: u32 = 4;
  export const CRITICAL: u32 = 5;
}

/** What a callback answers. A paused stream waits for `continueRequest`. */
export namespace Action {
  export const CONTINUE: u32 = 0;
  export const PAUSE: u32 = 1;
}

export namespace MapType {
  export const REQUEST_HEADERS: u32 = 0;
  export const RESPONSE_HEADERS: u32 = 2;
  export const CALL_RESPONSE_HEADERS: u32 = 6;
}

export namespace BufferType {
  export const REQUEST_BODY: u32 = 0;
  export const PLUGIN_CONFIGURATION: u32 = 7;
}

const REQUEST: u32 = 0;

@external("env", "proxy_log")
declare function proxy_log(level: u32, message: usize, size: usize): u32;
@external("env", "proxy_get_buffer_bytes")
declare function proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, bytes: usize, size: usize): u32;
@external("env", "proxy_set_buffer_bytes")
declare function proxy_set_buffer_bytes(buffer: u32, start: usize, replaced: usize, bytes: usize, size: usize): u32;
@external("env", "proxy_get_header_map_value")
declare function proxy_get_header_map_value(map: u32, name: usize, nameSize: usize, value: usize, size: usize): u32;
@external("env", "proxy_add_header_map_value")
declare function proxy_add_header_map_value(map: u32, name: usize, nameSize: usize, value: usize, size: usize): u32;
@external("env", "proxy_remove_header_map_value")
declare function proxy_remove_header_map_value(map: u32, name: usize, nameSize: usize): u32;
@external("env", "proxy_set_effective_context")
declare function proxy_set_effective_context(context: u32): u32;
@external("env", "proxy_continue_stream")
declare function proxy_continue_stream(stream: u32): u32;
@external("env", "proxy_send_local_response")
declare function proxy_send_local_response(
  status: u32, details: usize, detailsSize: usize, body: usize, bodySize: usize,
  headers: usize, headersSize: usize, grpcStatus: i32): u32;
@external("env", "proxy_http_call")
declare function proxy_http_call(
  upstream: usize, upstreamSize: usize, headers: usize, headersSize: usize, body: usize, bodySize: usize,
  trailers: usize, trailersSize: usize, timeout: u32, token: usize): u32;

// Where the proxy writes the address and size of what it hands over.
const address = memory.data(4);
const length = memory.data(4);

/** Room for what the proxy hands over. `taken` gives it back. */
export function proxy_on_memory_allocate(size: usize): usize {
  return heap.alloc(size);
}

/** What the proxy has handed over, as memory of AssemblyScript. */
function taken(): ArrayBuffer {
  const at = load<usize>(address);
  const size = load<u32>(length);
  const bytes = new ArrayBuffer(size);
  if (size > 0) {
    memory.copy(changetype<usize>(bytes), at, size);
    heap.free(at);
  }
  return bytes;
}

function at(bytes: ArrayBuffer): usize {
  return changetype<usize>(bytes);
}

export function log(level: u32, message: string): void {
  const text = String.UTF8.encode(message);
  proxy_log(level, at(text), text.byteLength);
}

/** What AssemblyScript calls when an assertion fails or memory is at its end. Named in the compiler's options. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message ? message : "abort";
  log(LogLevel.CRITICAL, what + " at " + (file ? file : "?") + ":" + line.toString() + ":" + column.toString());
  unreachable();
}

/** All of a buffer; empty where there is none. */
export function buffer(type: u32): ArrayBuffer {
  store<u32>(length, 0);
  if (proxy_get_buffer_bytes(type, 0, i32.MAX_VALUE, address, length) != OK) return new ArrayBuffer(0);
  return taken();
}

export function replaceBuffer(type: u32, bytes: ArrayBuffer): void {
  proxy_set_buffer_bytes(type, 0, i32.MAX_VALUE, at(bytes), bytes.byteLength);
}

/** The first value of a header; empty where there is none. */
export function header(map: u32, name: string): string {
  const key = String.UTF8.encode(name);
  store<u32>(length, 0);
  if (proxy_get_header_map_value(map, at(key), key.byteLength, address, length) != OK) return "";
  return String.UTF8.decode(taken());
}

export function addHeader(map: u32, name: string, value: string): void {
  const key = String.UTF8.encode(name);
  const text = String.UTF8.encode(value);
  proxy_add_header_map_value(map, at(key), key.byteLength, at(text), text.byteLength);
}

export function removeHeader(map: u32, name: string): void {
  const key = String.UTF8.encode(name);
  proxy_remove_header_map_value(map, at(key), key.byteLength);
}

/** The callbacks of a callout come for the plugin's context: what follows is about this stream. */
export function setEffectiveContext(context: u32): void {
  proxy_set_effective_context(context);
}

export function continueRequest(): void {
  proxy_continue_stream(REQUEST);
}

export function sendLocalResponse(status: u32, body: string): void {
  const text = String.UTF8.encode(body);
  proxy_send_local_response(status, 0, 0, at(text), text.byteLength, 0, 0, -1);
}

/** Names and values in turn, as the ABI has them. */
function pairs(texts: string[]): ArrayBuffer {
  const count = texts.length / 2;
  let size = 4 + 8 * count;
  const encoded = new Array<ArrayBuffer>();
  for (let i = 0; i < texts.length; i++) {
    const text = String.UTF8.encode(texts[i]);
    encoded.push(text);
    size += text.byteLength + 1;
  }
  const out = new ArrayBuffer(size);
  let sizes = at(out);
  let bytes = sizes + 4 + 8 * count;
  store<u32>(sizes, count);
  sizes += 4;
  for (let i = 0; i < encoded.length; i++) {
    const text = encoded[i];
    store<u32>(sizes, text.byteLength);
    sizes += 4;
    memory.copy(bytes, at(text), text.byteLength);
    bytes += text.byteLength + 1;
  }
  return out;
}

/** The token of the callout, or 0 where the proxy refuses it. `headers` are names and values in turn. */
export function httpCall(upstream: string, headers: string[], timeoutMilliseconds: u32): u32 {
  const name = String.UTF8.encode(upstream);
  const map = pairs(headers);
  const status = proxy_http_call(
    at(name), name.byteLength, at(map), map.byteLength, 0, 0, 0, 0, timeoutMilliseconds, address);
  return status == OK ? load<u32>(address) : 0;
}
