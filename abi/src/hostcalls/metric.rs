//! Metrics. A guest's ids are places in its VM's table, from 1.

use std::sync::Arc;

use super::call::{Answer, Call};
use crate::host::Metric;
use crate::limits::{METRIC_NAME_BYTES_MAX, METRICS_MAX};
use crate::memory;
use crate::wire::types::{MetricType, Status};

/// The id of a definition that found no room: it stands for no metric.
const NO_METRIC: u32 = u32::MAX;

/// A fresh id for each definition. One that cannot be (another kind, a bad name) is defined without effect: SDKs know
/// only Ok here.
pub(super) fn proxy_define_metric(
    call: &mut Call<'_>,
    kind: u32,
    name: u32,
    name_size: u32,
    metric_out: u32,
) -> Answer {
    const NAME: &str = "proxy_define_metric";
    call.check_out(metric_out)?;
    let kind = MetricType::try_from(kind)?;
    let name = call.read(name, name_size)?;
    let name = std::str::from_utf8(name)
        .ok()
        .filter(|name| name.len() <= METRIC_NAME_BYTES_MAX);
    let state = call.state();
    if state.metrics.len() >= METRICS_MAX {
        call.write_u32(metric_out, NO_METRIC)?;
        return call.unavailable(NAME);
    }
    let metric = name.and_then(|name| state.host.define_metric(&state.plugin, kind, name));
    let defined = metric.is_some();
    let state = call.state_mut();
    state
        .metrics
        .push(metric.unwrap_or_else(|| Arc::new(WithoutEffect(kind))));
    let id = u32::try_from(state.metrics.len()).unwrap_or(NO_METRIC);
    call.write_u32(metric_out, id)?;
    if defined {
        Ok(())
    } else {
        call.unavailable(NAME)
    }
}

pub(super) fn proxy_increment_metric(call: &mut Call<'_>, metric: u32, offset: i64) -> Answer {
    let metric = find(call, metric)?;
    match metric.kind() {
        MetricType::Counter if offset > 0 => metric.increment(offset),
        MetricType::Gauge => metric.increment(offset),
        MetricType::Counter | MetricType::Histogram => return Err(Status::BadArgument.into()),
    }
    Ok(())
}

pub(super) fn proxy_record_metric(call: &mut Call<'_>, metric: u32, value: u64) -> Answer {
    find(call, metric)?.record(value);
    Ok(())
}

pub(super) fn proxy_get_metric(call: &mut Call<'_>, metric: u32, value_out: u32) -> Answer {
    call.check_out(value_out)?;
    let metric = find(call, metric)?;
    if metric.kind() == MetricType::Histogram {
        return Err(Status::BadArgument.into());
    }
    let value = metric.value();
    Ok(call.write_u64(value_out, value)?)
}

fn find<'a>(call: &'a Call<'_>, metric: u32) -> Result<&'a dyn Metric, Status> {
    let place = memory::index(metric)
        .checked_sub(1)
        .ok_or(Status::NotFound)?;
    call.state()
        .metrics
        .get(place)
        .map(Arc::as_ref)
        .ok_or(Status::NotFound)
}

/// Stands for a metric that could not be defined.
struct WithoutEffect(MetricType);

impl Metric for WithoutEffect {
    fn kind(&self) -> MetricType {
        self.0
    }
    fn increment(&self, _: i64) {}
    fn record(&self, _: u64) {}
    fn value(&self) -> u64 {
        0
    }
}
