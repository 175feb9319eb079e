//! What operators look after: metrics, logs, administration, reload.

use std::time::Duration;

use super::{Resolver, or};
use crate::expand::resolve_path;
use crate::model::{Admin, LogLevel, Observability, Output, Reload};
use crate::problem::Location;
use crate::raw;
use crate::read::Slot;
use crate::suggest;
use crate::syntax;
use crate::values::Text;

impl Resolver<'_> {
    pub(super) fn observability(
        &mut self,
        slot: Option<Slot<raw::Observability>>,
        top: &Location,
    ) -> Observability {
        let mut result = Observability {
            metrics: None,
            metrics_at: top.clone(),
            log_level: LogLevel::Info,
            access_log: Output::Stdout,
            audit_log: Output::Stderr,
            accept_request_id: false,
        };
        let Some(observability) = slot.and_then(|slot| slot.value) else {
            return result;
        };
        let raw::Observability {
            metrics,
            log,
            access_log,
            audit_log,
            request_id,
        } = observability;
        if let Some(raw::Metrics { address }) = metrics.and_then(|slot| slot.value) {
            result.metrics = address.value;
            result.metrics_at = address.at.clone();
            if let Some(socket) = address.value {
                self.bind(socket, address.at);
            }
        }
        if let Some(raw::Log { level }) = log.and_then(|slot| slot.value) {
            result.log_level = or(level, result.log_level);
        }
        if let Some(raw::AccessLog {
            output: Some(output),
        }) = access_log.and_then(|slot| slot.value)
        {
            result.access_log = self.output(&output).unwrap_or(result.access_log);
        }
        if let Some(raw::AuditLog {
            output: Some(output),
        }) = audit_log.and_then(|slot| slot.value)
        {
            result.audit_log = self.output(&output).unwrap_or(result.audit_log);
        }
        if let Some(raw::RequestId { accept }) = request_id.and_then(|slot| slot.value) {
            result.accept_request_id = or(accept, false);
        }
        result
    }

    fn output(&mut self, slot: &Slot<Text>) -> Option<Output> {
        let text = slot.value.as_ref()?;
        match &*text.value {
            "off" => Some(Output::Off),
            "stdout" => Some(Output::Stdout),
            "stderr" => Some(Output::Stderr),
            path if path.contains('/') && !path.ends_with('/') => {
                Some(Output::File(resolve_path(self.dir, path)))
            }
            word => {
                let known = ["off", "stdout", "stderr"];
                let hint = match suggest::closest(word, known).filter(|_| text.open) {
                    Some(closest) => format!("did you mean `{closest}`?"),
                    None => "write off, stdout, stderr or the path of a file with a slash in it: ./access.log".into(),
                };
                self.problem(
                    &slot.at,
                    format!("`{text}` is no place for lines"),
                    Some(hint),
                );
                None
            }
        }
    }

    pub(super) fn admin(&mut self, slot: Option<Slot<raw::Admin>>) -> Option<Admin> {
        let Slot { at, value } = slot?;
        let raw::Admin {
            address,
            token,
            hosts,
        } = value?;
        let hosts = hosts.and_then(|slot| slot.value).unwrap_or_default();
        let hosts = hosts
            .iter()
            .filter_map(|slot| self.checked(slot, syntax::authority))
            .collect();
        let has_token = token.is_some();
        let token = token.and_then(|slot| self.token(slot));
        let socket = address.value?;
        if !has_token && !socket.ip().to_canonical().is_loopback() {
            let message = "an administration address that others can reach needs a token";
            let hint = "add `token: \"${env:ADMIN_TOKEN}\"`, or bind 127.0.0.1".to_owned();
            self.problem(&address.at, message, Some(hint));
        }
        self.bind(socket, address.at);
        Some(Admin {
            address: socket,
            token,
            hosts,
            at,
        })
    }

    fn token(&mut self, slot: Slot<Text>) -> Option<String> {
        let text = slot.value?;
        if text.value.is_empty() || !text.value.bytes().all(|b| b.is_ascii_graphic()) {
            let message = "the token cannot be sent as a bearer token";
            let hint = "it must have at least one character, and only visible ASCII without blanks"
                .to_owned();
            self.problem(&slot.at, message, Some(hint));
        }
        Some(text.value.to_string())
    }

    pub(super) fn reload(&mut self, slot: Option<Slot<raw::Reload>>) -> Reload {
        let Some(raw::Reload { watch, drain }) = slot.and_then(|slot| slot.value) else {
            return Reload::default();
        };
        let defaults = Reload::default();
        // No drain at all is a choice: whoever has no time to wait cuts off.
        Reload {
            watch: or(watch, defaults.watch),
            drain: or(drain, defaults.drain),
        }
    }
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            watch: true,
            drain: Duration::from_secs(30),
        }
    }
}
