//! `expr_create`, `expr_evaluate`, `expr_delete`: expressions of CEL over the attributes of the exchange.
//!
//! The text comes from a guest, and what it costs to evaluate is not bounded by its length: so nesting is, of brackets
//! (which parse recursively) and of comprehensions (which multiply).

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::objects::Key;
use cel::{Context, Program, Value};

use super::attributes;
use crate::hostcalls::call::Call;
use crate::limits::{
    EXPRESSION_BRACKETS_MAX, EXPRESSION_BYTES_MAX, EXPRESSION_NESTING_MAX, UNCOMPRESSED_BYTES_MAX,
};
use crate::wire::property;
use crate::wire::types::Status;

/// The text of an expression to a token of 4 bytes. BadArgument: no expression, or beyond a bound.
pub(super) fn create(call: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let program = std::str::from_utf8(argument)
        .ok()
        .and_then(compile)
        .ok_or(Status::BadArgument)?;
    let state = call.state_mut();
    let root = state.effective.root.ok_or(Status::BadArgument)?;
    let token = state
        .foreign
        .add_expression(root, program)
        .ok_or(Status::InternalFailure)?;
    Ok(token.to_le_bytes().to_vec())
}

/// A token to the value in the encoding of properties. NotFound: no such expression. InternalFailure: it cannot be
/// evaluated, such as for an attribute that is not there now.
pub(super) fn evaluate(call: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let token = token(argument)?;
    let state = call.state();
    let root = state.effective.root.ok_or(Status::NotFound)?;
    let program = state
        .foreign
        .expression(root, token)
        .ok_or(Status::NotFound)?;
    let mut context = Context::default();
    for (name, value) in attributes::of(state, &program.references().variables()) {
        context.add_variable_from_value(name, value);
    }
    // A library's panic must not become ours.
    let value = catch_unwind(AssertUnwindSafe(|| program.execute(&context)))
        .ok()
        .and_then(Result::ok)
        .ok_or(Status::InternalFailure)?;
    let mut out = Vec::new();
    if !encode(&value, &mut out) || out.len() > UNCOMPRESSED_BYTES_MAX {
        return Err(Status::SerializationFailure);
    }
    Ok(out)
}

/// Deleting what is not there is no error, as in Envoy.
pub(super) fn delete(call: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let token = token(argument)?;
    let state = call.state_mut();
    if let Some(root) = state.effective.root {
        state.foreign.delete_expression(root, token);
    }
    Ok(Vec::new())
}

fn token(argument: &[u8]) -> Result<u32, Status> {
    let bytes = <[u8; 4]>::try_from(argument).map_err(|_| Status::BadArgument)?;
    Ok(u32::from_le_bytes(bytes))
}

fn compile(text: &str) -> Option<Program> {
    let opening = |char: &char| matches!(char, '(' | '[' | '{' | '?');
    if text.len() > EXPRESSION_BYTES_MAX
        || text.chars().filter(opening).count() > EXPRESSION_BRACKETS_MAX
    {
        return None;
    }
    let program = catch_unwind(|| Program::compile(text)).ok()?.ok()?;
    (nesting(&program.expression().expr) <= EXPRESSION_NESTING_MAX).then_some(program)
}

/// How many comprehensions run inside each other. The text is short: so is the tree.
fn nesting(expr: &Expr) -> usize {
    let of = |inner: &IdedExpr| nesting(&inner.expr);
    match expr {
        Expr::Comprehension(inner) => {
            let inside = [
                &inner.accu_init,
                &inner.loop_cond,
                &inner.loop_step,
                &inner.result,
            ];
            let inside = inside.into_iter().map(of).max().unwrap_or_default();
            of(&inner.iter_range).max(inside + 1)
        }
        Expr::Call(inner) => {
            let target = inner.target.iter().map(|target| of(target));
            target.chain(inner.args.iter().map(of)).max().unwrap_or(0)
        }
        Expr::List(inner) => inner.elements.iter().map(of).max().unwrap_or(0),
        Expr::Map(inner) => entries(inner.entries.iter().map(|entry| &entry.expr)),
        Expr::Struct(inner) => entries(inner.entries.iter().map(|entry| &entry.expr)),
        Expr::Select(inner) => of(&inner.operand),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
    }
}

fn entries<'a>(entries: impl Iterator<Item = &'a EntryExpr>) -> usize {
    let of = |entry: &EntryExpr| match entry {
        EntryExpr::StructField(field) => nesting(&field.value.expr),
        EntryExpr::MapEntry(entry) => nesting(&entry.key.expr).max(nesting(&entry.value.expr)),
    };
    entries.map(of).max().unwrap_or(0)
}

/// As properties are encoded. False: a kind of value that has no encoding.
fn encode(value: &Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::Bool(value) => property::bool(*value, out),
        Value::Int(value) => property::int(*value, out),
        Value::UInt(value) => property::uint(*value, out),
        Value::Float(value) => property::double(*value, out),
        Value::String(value) => property::string(value.as_bytes(), out),
        Value::Bytes(value) => property::string(value.as_slice(), out),
        Value::List(list) => {
            let Some(pairs) = list
                .iter()
                .map(|item| Some((encoded(item)?, Vec::new())))
                .collect()
            else {
                return false;
            };
            let pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs;
            property::map(&pairs, out);
        }
        Value::Map(map) => {
            let pairs: Option<Vec<_>> = map
                .map
                .iter()
                .map(|(key, value)| Some((key_text(key), encoded(value)?)))
                .collect();
            let Some(mut pairs) = pairs else {
                return false;
            };
            // The library's map has no order.
            pairs.sort();
            property::map(&pairs, out);
        }
        _ => return false,
    }
    true
}

fn encoded(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    encode(value, &mut out).then_some(out)
}

fn key_text(key: &Key) -> Vec<u8> {
    match key {
        Key::Int(value) => value.to_le_bytes().to_vec(),
        Key::Uint(value) => value.to_le_bytes().to_vec(),
        Key::Bool(value) => vec![u8::from(*value)],
        Key::String(value) => value.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(text: &str) -> Option<Vec<u8>> {
        let value = compile(text)?.execute(&Context::default()).ok()?;
        encoded(&value)
    }

    #[test]
    fn values_are_encoded_as_properties() {
        for (text, bytes) in [
            ("1 + 2", &3_i64.to_le_bytes()[..]),
            ("3u", &3_u64.to_le_bytes()),
            ("1.5", &1.5_f64.to_le_bytes()),
            ("'a' + 'b'", b"ab"),
            ("b'ab'", b"ab"),
            ("1 < 2 && 'abc'.startsWith('a')", &[1]),
            (
                "['a', 'b']",
                b"\x02\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0a\0\0b\0\0",
            ),
            ("{'a': 'b'}", b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0"),
            ("'abc'.matches('^a.c$')", &[1]),
        ] {
            assert_eq!(evaluated(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(evaluated("null"), None);
        assert_eq!(evaluated("1 / 0"), None);
    }

    #[test]
    fn what_could_cost_too_much_is_no_expression() {
        assert!(compile("[1, 2].all(x, [3].exists(y, y > x))").is_some());
        assert!(compile("[1].all(x, [1].all(y, [1].all(z, z == x)))").is_none());
        assert!(compile(&format!("{}1{}", "(".repeat(65), ")".repeat(65))).is_none());
        let long = format!("1{}", "+1".repeat(EXPRESSION_BYTES_MAX / 2));
        assert!(compile(&long).is_none());
        let longest = format!("1{}", "+1".repeat(EXPRESSION_BYTES_MAX / 2 - 1));
        assert!(evaluated(&longest).is_some(), "deep enough for the stack");
        for text in ["", "1 +", "(", "a b", "\u{1}", "'"] {
            assert!(compile(text).is_none(), "{text:?}");
        }
    }
}
