//! Operations on what outlives a callback: shared data, queues, metrics.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{MetricType, Status};

use super::Scope;
use crate::op::Op;

impl Scope<'_> {
    pub(super) fn shared_data(&mut self, op: &Op) {
        match op {
            Op::ShareIncrement(key) => loop {
                let (value, cas) = hostcalls::get_shared_data(key).unwrap();
                let count: u64 = value
                    .and_then(|value| String::from_utf8(value).ok()?.parse().ok())
                    .unwrap_or(0);
                match hostcalls::set_shared_data(key, Some((count + 1).to_string().as_bytes()), cas)
                {
                    Err(Status::CasMismatch) => {}
                    outcome => break outcome.unwrap(),
                }
            },
            Op::ShareGet(key, to) => {
                let (value, _) = hostcalls::get_shared_data(key).unwrap();
                self.tell(
                    to,
                    &value.map_or_else(
                        || "-".to_owned(),
                        |value| String::from_utf8_lossy(&value).into_owned(),
                    ),
                );
            }
            Op::ShareSet(key, value) => {
                hostcalls::set_shared_data(key, Some(value.as_bytes()), None).unwrap()
            }
            Op::ShareStale(key, to) => {
                let outcome = hostcalls::set_shared_data(key, Some(b"stale"), Some(u32::MAX));
                self.tell(to, &format!("{outcome:?}"));
            }
            other => unreachable!("not about shared data: {other:?}"),
        }
    }

    pub(super) fn queues(&mut self, op: &Op) {
        match op {
            Op::QueueRegister(name) => {
                hostcalls::register_shared_queue(name).unwrap();
            }
            Op::Enqueue(vm_id, name, item) => {
                let outcome = match hostcalls::resolve_shared_queue(vm_id, name).unwrap() {
                    Some(queue) => format!(
                        "{:?}",
                        hostcalls::enqueue_shared_queue(queue, Some(item.as_bytes()))
                    ),
                    None => "unknown".to_owned(),
                };
                self.tell("x-queue", &outcome);
            }
            Op::Dequeue(key) => {
                while let Some(item) = hostcalls::dequeue_shared_queue(self.queue).unwrap() {
                    append_shared(key, &item);
                }
            }
            other => unreachable!("not about queues: {other:?}"),
        }
    }

    pub(super) fn metrics(&mut self, op: &Op) {
        match op {
            Op::Counter(name, by) => {
                hostcalls::increment_metric(self.metric(MetricType::Counter, name), *by).unwrap()
            }
            Op::Gauge(name, value) => {
                hostcalls::record_metric(self.metric(MetricType::Gauge, name), *value).unwrap()
            }
            Op::Histogram(name, value) => {
                hostcalls::record_metric(self.metric(MetricType::Histogram, name), *value).unwrap()
            }
            Op::MetricValue(name, to) => {
                let id = self.plugin.metrics.borrow().get(name).copied();
                let value = id.map(hostcalls::get_metric);
                self.tell(to, &format!("{value:?}"));
            }
            other => unreachable!("not about metrics: {other:?}"),
        }
    }

    fn metric(&self, kind: MetricType, name: &str) -> u32 {
        let mut metrics = self.plugin.metrics.borrow_mut();
        *metrics
            .entry(name.to_owned())
            .or_insert_with(|| hostcalls::define_metric(kind, name).unwrap())
    }
}

fn append_shared(key: &str, item: &[u8]) {
    loop {
        let (value, cas) = hostcalls::get_shared_data(key).unwrap();
        let mut value = value.unwrap_or_default();
        value.extend_from_slice(item);
        value.push(b',');
        match hostcalls::set_shared_data(key, Some(&value), cas) {
            Err(Status::CasMismatch) => {}
            outcome => return outcome.unwrap(),
        }
    }
}
