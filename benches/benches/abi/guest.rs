//! Guests in WebAssembly text.

/// How often a guest makes its hostcall in one callback: the callback's own cost vanishes in them.
pub(crate) const CALLS: u32 = 1000;

/// A hostcall with arguments that make it succeed. Strings of `DATA`: `:path` at 16, `key` at 32, `value` at 48. Answers
/// go to 64 and after.
pub(crate) struct Hostcall {
    pub(crate) name: &'static str,
    params: usize,
    arguments: &'static [u32],
}

const fn hostcall(name: &'static str, arguments: &'static [u32]) -> Hostcall {
    Hostcall {
        name,
        params: arguments.len(),
        arguments,
    }
}

const DATA: &str =
    r#"(data (i32.const 16) ":path") (data (i32.const 32) "key") (data (i32.const 48) "value")"#;

pub(crate) const HOSTCALLS: [Hostcall; 8] = [
    hostcall("proxy_get_header_map_value", &[0, 16, 5, 64, 68]),
    hostcall("proxy_get_header_map_pairs", &[0, 64, 68]),
    hostcall("proxy_replace_header_map_value", &[0, 32, 3, 48, 5]),
    hostcall("proxy_get_buffer_bytes", &[0, 0, 1024, 64, 68]),
    hostcall("proxy_get_property", &[32, 3, 64, 68]),
    hostcall("proxy_get_shared_data", &[32, 3, 64, 68, 72]),
    hostcall("proxy_set_shared_data", &[32, 3, 48, 5, 0]),
    hostcall("proxy_get_current_time_nanoseconds", &[64]),
];

/// A module to be.
pub(crate) struct Guest {
    import: String,
    on_request_headers: String,
}

impl Guest {
    /// Does nothing in any callback.
    pub(crate) fn noop() -> Self {
        Self {
            import: String::new(),
            on_request_headers: String::new(),
        }
    }

    /// Makes `hostcall` [`CALLS`] times for each request's headers, and traps when one is refused.
    pub(crate) fn calling(hostcall: &Hostcall) -> Self {
        let params = "i32 ".repeat(hostcall.params);
        let arguments: String = hostcall
            .arguments
            .iter()
            .map(|argument| format!("(i32.const {argument})"))
            .collect();
        Self {
            import: format!(
                r#"(import "env" "{}" (func $call (param {params}) (result i32)))"#,
                hostcall.name
            ),
            on_request_headers: format!(
                "(local $made i32)
                 (loop $again
                   (if (call $call {arguments}) (then unreachable))
                   (local.set $made (i32.add (local.get $made) (i32.const 1)))
                   (br_if $again (i32.lt_u (local.get $made) (i32.const {CALLS}))))"
            ),
        }
    }

    /// The whole module. What the host asks the guest to allocate always lies at 4096: nothing is kept from it.
    pub(crate) fn text(&self) -> String {
        let Self {
            import,
            on_request_headers,
        } = self;
        format!(
            r#"(module
              {import}
              (memory (export "memory") 1)
              {DATA}
              (func (export "proxy_abi_version_0_2_1"))
              (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
              (func (export "proxy_on_context_create") (param i32 i32))
              (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                {on_request_headers}
                (i32.const 0))
              (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
              (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))
              (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
              (func (export "proxy_on_log") (param i32))
              (func (export "proxy_on_delete") (param i32)))"#
        )
    }
}
