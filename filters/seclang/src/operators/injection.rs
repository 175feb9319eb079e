//! `@detectSQLi` and `@detectXSS`: libinjection, and what its translation to Rust has not got.

use std::borrow::Cow;
use std::sync::OnceLock;

use libinjectionrs::sqli::blacklist::is_blacklisted;
use libinjectionrs::xss::{Html5Flags, Html5State, TokenType};
use libinjectionrs::{SqliFlags, SqliState};
use regex_automata::meta::Regex;

use super::{Found, Necessary, rx};
use crate::byte_set::ByteSet;

/// Whether libinjection takes the value for SQL; its fingerprint is capture 0.
pub(super) fn sqli(value: &[u8], found: &mut Found) -> bool {
    let tamed = tamed(value);
    let mut state = SqliState::new(&tamed, SqliFlags::FLAG_NONE);
    let fingerprint = if state.detect() {
        Some(state.fingerprint)
    } else {
        with_phrase(&tamed)
    };
    let Some(fingerprint) = fingerprint else {
        return false;
    };
    found.at(0..value.len());
    let length = fingerprint.iter().take_while(|&&byte| byte != 0).count();
    found.capture_own(0, fingerprint.get(..length).unwrap_or_default());
    true
}

/// The longest run of bytes that may be one word and is left alone.
const WORD_BYTES_MAX: usize = 256;

/// How much of a longer one is left alone: libinjection looks for keywords in the first 31 bytes of a word.
const WORD_BYTES_KEPT: usize = 128;

/// The bytes that end a word.
const WORD_ENDS: ByteSet = ByteSet::listed(b" []{}<>:\\?=@!#~+-*/&|^%(),';\t\n\x0b\x0c\r\"\xa0\0");

/// The value, with the dots and backticks in the tails of very long words replaced. At each of them the translation looks
/// the whole word up to there up, in time quadratic in its length; the original does not, and no keyword is so long. An even
/// number of backticks goes, so that what is a string stays one.
fn tamed(value: &[u8]) -> Cow<'_, [u8]> {
    if value.len() <= WORD_BYTES_MAX || memchr::memchr2(b'.', b'`', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut tamed = value.to_vec();
    for word in tamed.split_mut(|byte| WORD_ENDS.contains(*byte)) {
        if word.len() <= WORD_BYTES_MAX {
            continue;
        }
        let tail = word.get_mut(WORD_BYTES_KEPT..).unwrap_or_default();
        let ticks = tail.iter().filter(|&&byte| byte == b'`').count();
        let mut going = ticks.saturating_sub(2 - ticks % 2);
        for byte in tail {
            if *byte == b'.' || (*byte == b'`' && going > 0) {
                going -= usize::from(*byte == b'`');
                *byte = b'_';
            }
        }
    }
    Cow::Owned(tamed)
}

/// What a value must have to be taken for SQL: something that is not a letter, a digit or `_`. Without it there are only
/// numbers and one word behind them, and none of libinjection's fingerprints is of these but `1U`, of which it demands
/// more than two tokens.
pub(super) fn sqli_necessary() -> Necessary {
    let word = ByteSet::range(b'0', b'9')
        .union(ByteSet::range(b'A', b'Z'))
        .union(ByteSet::range(b'a', b'z'))
        .with(b'_');
    Necessary {
        min_length: 1,
        bytes: vec![word.complement()],
        ..Necessary::default()
    }
}

/// Keywords of several words, where the translation does not see that they are one: `1 INTO OUTFILE '/x'`.
const PHRASES: &str = r"(?i)\b(?:into_(?:out|dump)file|in_boolean_mode|lock_in_share_mode)\b";

/// What may be between the words.
const BETWEEN: &str = r"(?:[\s\x00\xa0]|/\*.*?\*/)+";

/// A keyword of one word, with which libinjection does the same.
const KEYWORD: &[u8] = b"INTO";

/// The fingerprint of a value with such a phrase, if it is one of an injection.
fn with_phrase(value: &[u8]) -> Option<[u8; 8]> {
    static REGEX: OnceLock<Option<Regex>> = OnceLock::new();
    let regex = REGEX.get_or_init(|| rx::regex(&PHRASES.replace('_', BETWEEN)).ok());
    let mut rewritten = Vec::new();
    let mut from = 0;
    for phrase in regex.as_ref()?.find_iter(value) {
        rewritten.extend_from_slice(value.get(from..phrase.start())?);
        rewritten.extend_from_slice(KEYWORD);
        from = phrase.end();
    }
    if from == 0 {
        return None;
    }
    rewritten.extend_from_slice(value.get(from..)?);
    let contexts = [
        (None, SqliFlags::FLAG_QUOTE_NONE | SqliFlags::FLAG_SQL_ANSI),
        (
            Some(b'\''),
            SqliFlags::FLAG_QUOTE_SINGLE | SqliFlags::FLAG_SQL_ANSI,
        ),
        (
            Some(b'"'),
            SqliFlags::FLAG_QUOTE_DOUBLE | SqliFlags::FLAG_SQL_MYSQL,
        ),
    ];
    let possible = contexts
        .into_iter()
        .filter(|(quote, _)| quote.is_none_or(|quote| rewritten.contains(&quote)));
    for (_, flags) in possible {
        let mut state = SqliState::new(&rewritten, flags);
        let injection = state.is_sqli();
        // Three tokens with a keyword in the middle are harmless but for this keyword.
        let [_, b'k', _, 0, ..] = state.fingerprint else {
            if injection {
                return Some(state.fingerprint);
            }
            continue;
        };
        let name = state.fingerprint_string();
        if is_blacklisted(&name) {
            return Some(state.fingerprint);
        }
    }
    None
}

/// Whether libinjection takes the value for HTML with a script; the value is capture 0.
pub(super) fn xss(value: &[u8], found: &mut Found) -> bool {
    let matches = libinjectionrs::detect_xss(value).is_injection() || has_newer_event(value);
    if matches {
        found.whole(0..value.len());
    }
    matches
}

/// What a value must have to be taken for HTML with a script: a tag begins with `<`, and the value of an attribute is
/// behind a `=`.
pub(super) fn xss_necessary() -> Necessary {
    Necessary {
        min_length: 1,
        bytes: vec![ByteSet::listed(b"<=")],
        ..Necessary::default()
    }
}

/// Events of browsers, without the `on`, that are missing in libinjection's list.
const EVENTS: [&str; 24] = [
    "AFTERSCRIPTEXECUTE",
    "AUXCLICK",
    "BEFOREMATCH",
    "BEFORESCRIPTEXECUTE",
    "BEFORETOGGLE",
    "BEGIN",
    "BOUNCE",
    "COMMAND",
    "CONTENTVISIBILITYAUTOSTATECHANGE",
    "CONTEXTLOST",
    "CONTEXTRESTORED",
    "DEVICEORIENTATIONABSOLUTE",
    "DRAGEXIT",
    "FORMDATA",
    "FULLSCREENCHANGE",
    "FULLSCREENERROR",
    "MOZFULLSCREENCHANGE",
    "PAGEREVEAL",
    "PAGESWAP",
    "POINTERRAWUPDATE",
    "REPEAT",
    "SCROLLEND",
    "SCROLLSNAPCHANGE",
    "SCROLLSNAPCHANGING",
];

/// Whether an attribute of one of [`EVENTS`] has a value, wherever in HTML the text may land.
fn has_newer_event(value: &[u8]) -> bool {
    // Each has a value, and the value of an attribute is behind a `=`.
    if memchr::memchr(b'=', value).is_none() {
        return false;
    }
    let contexts = [
        Html5Flags::DataState,
        Html5Flags::ValueNoQuote,
        Html5Flags::ValueSingleQuote,
        Html5Flags::ValueDoubleQuote,
        Html5Flags::ValueBackQuote,
    ];
    contexts.into_iter().any(|context| {
        let mut html = Html5State::new(value, context);
        let mut event = false;
        while html.next() {
            match html.token_type {
                TokenType::AttrName => {
                    let name = html.token_start.get(..html.token_len);
                    event = name.is_some_and(is_newer_event);
                }
                TokenType::AttrValue if event => return true,
                _ => event = false,
            }
        }
        false
    })
}

/// NUL in a name is ignored, as old browsers did.
fn is_newer_event(name: &[u8]) -> bool {
    let mut letters = name
        .iter()
        .filter(|&&byte| byte != 0)
        .map(u8::to_ascii_uppercase);
    letters.next() == Some(b'O')
        && letters.next() == Some(b'N')
        && EVENTS.iter().any(|event| letters.clone().eq(event.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_several_words_are_one() {
        for (value, fingerprint) in [
            ("1 into outfile '/tmp/x'", "1ks"),
            ("x INTO/**/dumpfile \"y\"", "nks"),
            ("' into outfile '/x'", "sks"),
            ("\" into outfile \"/x\"", "sks"),
            ("foo' IN BOOLEAN MODE) union select 1", "sk)UE"),
            ("1' in  boolean\tmode) OR 1=1", "sk)&1"),
        ] {
            let mut found = Found::default();
            found.wanted = true;
            assert!(sqli(value.as_bytes(), &mut found), "{value}");
            let captures: Vec<_> = found.captures(value.as_bytes()).collect();
            assert_eq!(captures, [(0, fingerprint.as_bytes())], "{value}");
        }
        for value in [
            "1 LOCK IN SHARE MODE",
            "copied into outfile.txt",
            "in boolean mode",
        ] {
            assert!(!sqli(value.as_bytes(), &mut Found::default()), "{value}");
        }
    }

    #[test]
    fn long_words_are_tamed_and_mean_the_same() {
        let dots = b"a.".repeat(10_000);
        let count = |text: &[u8], byte: u8| text.iter().filter(|&&other| other == byte).count();
        assert!(count(&tamed(&dots), b'.') <= WORD_BYTES_KEPT);
        for ticks in 0..6 {
            let value = [b"a".repeat(200), b"a`".repeat(ticks), b"b".repeat(200)].concat();
            let left = count(&tamed(&value), b'`');
            assert!(left <= 2 && left % 2 == ticks % 2, "{ticks}");
        }
        let words = b"a.b.c`d ".repeat(1_000);
        assert_eq!(&*tamed(&words), words);
        for prefix in ["`", "'", "1 ", "a"] {
            for length in [10, 300, 3_000] {
                let long = "a.".repeat(length);
                let value = format!("{prefix}{long}{} union select 1,2 from a", prefix.trim());
                let mut plain = SqliState::new(value.as_bytes(), SqliFlags::FLAG_NONE);
                let found = sqli(value.as_bytes(), &mut Found::default());
                assert_eq!(found, plain.detect(), "{prefix} {length}");
            }
        }
    }

    #[test]
    fn newer_events_are_known() {
        for value in [
            "<x onauxclick=alert(1)>",
            "<x OnBeforeScriptExecute = 'alert(1)'>",
            "\" onscrollend=\"alert(1)",
            "' onpage\0swap='x",
            "x oncommand=y",
        ] {
            assert!(xss(value.as_bytes(), &mut Found::default()), "{value}");
        }
        for value in [
            "onauxclick",
            "onauxclicks=1",
            "auxclick=1",
            "<x onauxclick>",
            "a=onauxclick",
        ] {
            assert!(!xss(value.as_bytes(), &mut Found::default()), "{value}");
        }
        assert!(EVENTS.is_sorted());
    }

    /// Texts of pieces that may come out as tokens of their own, without anything that separates them.
    #[test]
    fn words_and_numbers_alone_are_no_injection() {
        let pieces = [
            "0b1",
            "0b",
            "0x",
            "0x1",
            "1",
            "2e",
            "3e4",
            "5f",
            "6d",
            "union",
            "or",
            "and",
            "select",
            "x",
            "b",
            "n",
            "u",
            "e",
            "q",
            "nq",
            "sp_password",
            "_",
            "null",
            "in",
            "not",
        ];
        let mut found = Found::default();
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let text = [a, b, c, "union"].concat();
                    assert!(!sqli(text.as_bytes(), &mut found), "{text}");
                    let text = [a, b, c].concat();
                    assert!(!sqli(text.as_bytes(), &mut found), "{text}");
                }
            }
        }
    }

    #[test]
    fn scripts_need_a_tag_or_an_attribute() {
        let pieces = [
            "on",
            "click",
            "onclick",
            "\"",
            "'",
            "`",
            ">",
            "/",
            " ",
            "style",
            "href",
            "javascript:",
            "!",
            "--",
            "script",
            "\0",
        ];
        let mut found = Found::default();
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let text = [a, b, c, d].concat();
                        assert!(!xss(text.as_bytes(), &mut found), "{text}");
                    }
                }
            }
        }
    }
}
