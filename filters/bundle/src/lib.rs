//! The built-in guests: proxy-wasm modules (ABI 0.2.1) compiled from `filters/` by this crate's build script and
//! embedded, so that `builtin: auth` in a configuration needs no file.
//!
//! The bytes are the same as those of a module built by hand with `--profile filter`, and run in any proxy-wasm host.

/// One built-in guest.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// What a configuration calls it: `builtin: NAME`.
    pub name: &'static str,
    /// The module, in the WebAssembly binary format.
    pub wasm: &'static [u8],
    /// What it does, in one line, without a full stop.
    pub summary: &'static str,
    /// Whether it may change bodies. Where not, a host can keep the lengths that messages declare.
    pub edits_body: bool,
}

static BUILTINS: [Builtin; 3] = [
    Builtin {
        name: "auth",
        wasm: include_bytes!(concat!(env!("OUT_DIR"), "/auth.wasm")),
        summary: "Lets a request pass by API key or JSON Web Token",
        edits_body: false,
    },
    Builtin {
        name: "rate-limit",
        wasm: include_bytes!(concat!(env!("OUT_DIR"), "/rate-limit.wasm")),
        summary: "Limits requests by client address, header or claim (GCRA)",
        edits_body: false,
    },
    Builtin {
        name: "waf",
        wasm: include_bytes!(concat!(env!("OUT_DIR"), "/waf.wasm")),
        summary: "Refuses requests and responses by rules in SecLang, ModSecurity's language",
        edits_body: false,
    },
];

/// Every built-in guest, ordered by name.
#[must_use]
pub fn all() -> &'static [Builtin] {
    &BUILTINS
}

/// The built-in guest of this name, or none. Names are case-sensitive.
#[must_use]
pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
