//! What becomes of an item of the language.

/// What becomes of a directive, an action or a setting of `ctl`, and `T` that does it.
#[derive(Clone, Copy, Debug)]
pub enum Support<T> {
    /// Done as in ModSecurity.
    Full(T),
    /// Accepted with a warning: why it has no effect.
    NoEffect(&'static str),
    /// `Off` is what is done anyhow; all else is an error: why.
    OnlyOff(&'static str),
    /// An error: why, and the way out.
    Refused(&'static str),
}
