//! Operations on foreign functions.

use std::fmt::Write;

use proxy_wasm::hostcalls;
use proxy_wasm::types::BufferType;

use super::Scope;
use crate::op::Op;

impl Scope<'_> {
    pub(super) fn foreign(&mut self, op: &Op) {
        match op {
            Op::Foreign(name, argument, to) => {
                self.plugin.foreign.set(self.context);
                let result = ask(name, &bytes(argument));
                self.tell(
                    to,
                    &result.map_or_else(|status| status, |result| hex(&result)),
                );
            }
            Op::Expression(text, to) => {
                let value = ask("expr_create", text.as_bytes()).and_then(|token| {
                    let value = ask("expr_evaluate", &token);
                    ask("expr_delete", &token)?;
                    value
                });
                self.tell(to, &value.map_or_else(|status| status, |value| hex(&value)));
            }
            Op::ForeignResult(to) => {
                let result = hostcalls::get_buffer(BufferType::CallData, 0, usize::MAX >> 1);
                self.tell(to, &hex(&result.unwrap().unwrap_or_default()));
            }
            other => unreachable!("not about foreign functions: {other:?}"),
        }
    }
}

/// The result, or the status as text.
fn ask(name: &str, argument: &[u8]) -> Result<Vec<u8>, String> {
    let result = hostcalls::call_foreign_function(name, Some(argument));
    result
        .map(Option::unwrap_or_default)
        .map_err(|status| format!("{status:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("="), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex
        .chars()
        .map(|digit| digit.to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
