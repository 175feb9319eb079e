// The example filter in AssemblyScript. What it does is said in ../../README.md.

import { members, unescaped } from "./json";
import {
  Action, BufferType, LogLevel, MapType,
  addHeader, buffer, continueRequest, header, httpCall, log, removeHeader, replaceBuffer, sendLocalResponse,
  setEffectiveContext,
} from "./proxy_wasm";

export { proxy_on_memory_allocate } from "./proxy_wasm";

const CALL_MILLISECONDS: u32 = 1000;

/** One configuration. A VM may have several: the proxy makes a context for each. */
class Plugin {
  settings: Map<string, string> = new Map();

  get(key: string): string {
    return this.settings.get(key);
  }
}

class Stream {
  constructor(public plugin: Plugin) {}
}

const plugins = new Map<u32, Plugin>();
const streams = new Map<u32, Stream>();
/** Streams that wait for an answer, by the token of their callout. */
const calls = new Map<u32, u32>();

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_context_create(id: u32, parent: u32): void {
  if (parent == 0) plugins.set(id, new Plugin());
  else streams.set(id, new Stream(plugins.get(parent)));
}

export function proxy_on_delete(id: u32): void {
  streams.delete(id);
}

export function proxy_on_configure(id: u32, size: u32): bool {
  const text = String.UTF8.decode(buffer(BufferType.PLUGIN_CONFIGURATION));
  const found = members(text);
  const settings = plugins.get(id).settings;
  if (found) {
    for (let i = 0; i < found.length; i++) {
      const value = text.substring(found[i].start, found[i].end);
      if (value.startsWith('"')) settings.set(found[i].name, unescaped(value.substring(1, value.length - 1)));
    }
  }
  const needed = ["header", "value", "mask", "upstream"];
  for (let i = 0; i < needed.length; i++) {
    if (!settings.has(needed[i]) || settings.get(needed[i]).length == 0) {
      log(LogLevel.ERROR, "the configuration needs the text " + needed[i]);
      return false;
    }
  }
  return true;
}

export function proxy_on_request_headers(id: u32, count: u32, endOfStream: bool): u32 {
  const plugin = streams.get(id).plugin;
  addHeader(MapType.REQUEST_HEADERS, plugin.get("header"), plugin.get("value"));
  // The body will have another length.
  if (!endOfStream) removeHeader(MapType.REQUEST_HEADERS, "content-length");

  const upstream = plugin.get("upstream");
  const path = header(MapType.REQUEST_HEADERS, ":path");
  const token = httpCall(
    upstream,
    [":method", "GET", ":path", "/check", ":authority", upstream, "x-path", path],
    CALL_MILLISECONDS,
  );
  if (token == 0) sendLocalResponse(503, "no policy service\n");
  else calls.set(token, id);
  return Action.PAUSE;
}

export function proxy_on_http_call_response(root: u32, token: u32, headers: u32, body: u32, trailers: u32): void {
  if (!calls.has(token)) return;
  const id = calls.get(token);
  calls.delete(token);
  // The client may have gone meanwhile.
  if (!streams.has(id)) return;
  const allowed = header(MapType.CALL_RESPONSE_HEADERS, ":status") == "200";
  const user = header(MapType.CALL_RESPONSE_HEADERS, "x-user");
  setEffectiveContext(id);
  // Nobody but the policy service says who it is.
  removeHeader(MapType.REQUEST_HEADERS, "x-user");
  if (user.length > 0) addHeader(MapType.REQUEST_HEADERS, "x-user", user);
  if (allowed) continueRequest();
  else sendLocalResponse(403, "denied by policy\n");
}

/** The object with every value of the member `name` replaced, or null where nothing is to be changed. */
function masked(body: string, name: string): string | null {
  const found = members(body);
  if (!found) return null;
  let out = "";
  let copied = 0;
  for (let i = 0; i < found.length; i++) {
    if (found[i].name != name) continue;
    out += body.substring(copied, found[i].start) + '"***"';
    copied = found[i].end;
  }
  return copied == 0 ? null : out + body.substring(copied);
}

export function proxy_on_request_body(id: u32, size: u32, endOfStream: bool): u32 {
  if (!endOfStream) return Action.PAUSE;
  const body = String.UTF8.decode(buffer(BufferType.REQUEST_BODY));
  const changed = masked(body, streams.get(id).plugin.get("mask"));
  if (changed) replaceBuffer(BufferType.REQUEST_BODY, String.UTF8.encode(changed));
  return Action.CONTINUE;
}

export function proxy_on_response_headers(id: u32, count: u32, endOfStream: bool): u32 {
  const plugin = streams.get(id).plugin;
  addHeader(MapType.RESPONSE_HEADERS, plugin.get("header"), plugin.get("value"));
  return Action.CONTINUE;
}
