// What a script finds: the objects of docs/guide/javascript.md, made of the few functions of `host` (natives.rs).
// Gives what lib.rs calls: open() an exchange, run() one of the script's functions, answer() a callout.
(function (host, configured) {
  "use strict";

  const REQUEST = 0;
  const RESPONSE = 2;
  const CALL = 6;
  const REQUEST_BODY = 0;
  const RESPONSE_BODY = 1;
  const CALL_BODY = 4;
  const CALL_TIMEOUT_MS = 5000;

  // Names and values, from a mapping (a value may be a list) or a list of pairs.
  function pairs(headers) {
    const entries = Array.isArray(headers) ? headers : Object.entries(headers);
    return entries.flatMap(([name, value]) =>
      Array.isArray(value) ? value.map((one) => [String(name), String(one)]) : [[String(name), String(value)]]);
  }

  function valuesOf(entries, name) {
    const wanted = String(name).toLowerCase();
    return entries.filter(([found]) => found.toLowerCase() === wanted).map(([, value]) => value);
  }

  class Headers {
    #map;
    constructor(map) { this.#map = map; }
    get(name) { return host.header(this.#map, String(name)); }
    getAll(name) { return valuesOf(this.entries(), name); }
    has(name) { return this.get(name) !== null; }
    set(name, value) { host.setHeader(this.#map, String(name), String(value)); }
    add(name, value) { host.addHeader(this.#map, String(name), String(value)); }
    remove(name) { host.setHeader(this.#map, String(name), null); }
    entries() { return host.headers(this.#map); }
    [Symbol.iterator]() { return this.entries()[Symbol.iterator](); }
  }

  // Of a callout's answer: kept, because the proxy forgets it when the callback has returned.
  class KeptHeaders {
    #entries = host.headers(CALL);
    get(name) { return this.getAll(name)[0] ?? null; }
    getAll(name) { return valuesOf(this.#entries, name); }
    has(name) { return this.get(name) !== null; }
    entries() { return this.#entries.map((pair) => [...pair]); }
    [Symbol.iterator]() { return this.entries()[Symbol.iterator](); }
  }

  class Request {
    headers = new Headers(REQUEST);
    get method() { return this.headers.get(":method"); }
    set method(value) { this.headers.set(":method", value); }
    get path() { return this.headers.get(":path"); }
    set path(value) { this.headers.set(":path", value); }
    get host() { return this.headers.get(":authority"); }
    set host(value) { this.headers.set(":authority", value); }
    get scheme() { return this.headers.get(":scheme"); }
    get body() { return host.body(REQUEST_BODY); }
    set body(text) { host.setBody(REQUEST_BODY, String(text)); }
  }

  class Response {
    headers = new Headers(RESPONSE);
    get status() { return Number(this.headers.get(":status")); }
    set status(value) { this.headers.set(":status", Number(value)); }
    get body() { return host.body(RESPONSE_BODY); }
    set body(text) { host.setBody(RESPONSE_BODY, String(text)); }
  }

  class Exchange {
    // What waits for the answer of a callout, by its token. It goes when the exchange does.
    #waiting = new Map();
    request = new Request();
    response = new Response();

    reply(status, headers = {}, body = "") {
      host.reply(Number(status), pairs(headers), String(body));
    }

    fetch(upstream, options = {}, callback) {
      const { method = "GET", path = "/", host: authority = upstream, headers = {}, body = "", timeout = CALL_TIMEOUT_MS } = options;
      const head = [[":method", String(method)], [":path", String(path)], [":authority", String(authority)]];
      const token = host.call(String(upstream), head.concat(pairs(headers)), String(body), Number(timeout));
      if (callback !== undefined) {
        this.#waiting.set(token, callback);
        return undefined;
      }
      return new Promise((resolve) => this.#waiting.set(token, resolve));
    }

    static answer(exchange, token) {
      const settle = exchange.#waiting.get(token);
      exchange.#waiting.delete(token);
      const status = host.header(CALL, ":status");
      return settle({
        status: status === null ? 0 : Number(status),
        headers: new KeptHeaders(),
        body: host.body(CALL_BODY),
      });
    }

    property(path) {
      return host.property(Array.isArray(path) ? path : String(path).split("."));
    }

    log(...words) { log(2, words); }
  }

  function text(word) {
    return typeof word === "object" && word !== null && !(word instanceof Error) ? JSON.stringify(word) : String(word);
  }

  function log(level, words) {
    host.log(level, words.map(text).join(" "));
  }

  globalThis.console = {
    debug: (...words) => log(1, words),
    log: (...words) => log(2, words),
    info: (...words) => log(2, words),
    warn: (...words) => log(3, words),
    error: (...words) => log(4, words),
  };

  globalThis.settings = configured;

  globalThis.shared = {
    get(key) { return host.sharedGet(String(key))[0]; },
    set(key, value) { host.sharedSet(String(key), String(value), 0); },
    // By compare and swap, until no other worker came between. The first writes of a key may: there is no number yet.
    update(key, change) {
      for (;;) {
        const [value, number] = host.sharedGet(String(key));
        const next = String(change(value));
        if (host.sharedSet(String(key), next, number)) return next;
      }
    },
  };

  // An async function that fails later is a failure of its phase too.
  function settled(result) {
    if (result instanceof Promise) result.then(undefined, host.failed);
  }

  return {
    open: () => new Exchange(),
    run: (name, exchange) => settled(globalThis[name](exchange)),
    answer: (exchange, token) => settled(Exchange.answer(exchange, token)),
  };
})
