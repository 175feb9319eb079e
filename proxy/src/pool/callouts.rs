//! What the VMs of a pool wait for besides HTTP calls: gRPC callouts, and foreign functions of our own.

use std::sync::Arc;
use std::time::Instant;

use portcullis_abi::ForeignCall;
use portcullis_abi::grpc::{GrpcCall, GrpcEvent};
use portcullis_abi::vm::Vm;

use super::host::{PoolHost, report};
use crate::callout::grpc::GrpcEnd;
use crate::foreign;
use crate::metrics::{CalloutResult, Phase};

impl PoolHost {
    /// Runs the function off the worker, and gives its result on it.
    pub(super) fn foreign_call(&self, vm: &Arc<Vm>, call: ForeignCall) {
        let Some(function) = foreign::find(&call.name) else {
            return;
        };
        let (vm, pool) = (Arc::downgrade(vm), self.pool.clone());
        let (worker, metrics) = (vm.upgrade().map(|vm| vm.worker()), self.metrics.clone());
        let (Some(worker), control) = (worker, self.services.control.clone()) else {
            return;
        };
        self.services.workers.handle(worker).spawn(async move {
            let ForeignCall {
                token,
                name,
                argument,
            } = call;
            let turn = foreign::turn().await;
            if vm.strong_count() == 0 {
                return;
            }
            let ran = control.spawn_blocking(move || function(&argument)).await;
            drop(turn);
            let result = ran.unwrap_or_else(|panic| {
                tracing::error!(function = name, "a foreign function panicked: {panic}");
                Vec::new()
            });
            let Some(vm) = vm.upgrade() else { return };
            let started = Instant::now();
            let answered = vm.on_foreign_function(token, result);
            metrics.observe(Phase::ForeignFunction, started.elapsed());
            report(&pool, &vm, answered);
        });
    }

    /// Makes the call on the VM's worker. It ends early where the VM lets go of it.
    pub(super) fn grpc_call(&self, vm: &Arc<Vm>, call: GrpcCall) {
        let worker = vm.worker();
        let (vm, pool) = (Arc::downgrade(vm), self.pool.clone());
        let (services, metrics) = (self.services.clone(), self.metrics.clone());
        self.services.workers.handle(worker).spawn(async move {
            let Some(upstreams) = services.upstreams.load_full() else {
                return;
            };
            let token = call.token;
            let mut deliver = |event: GrpcEvent| {
                let Some(vm) = vm.upgrade() else { return false };
                let started = Instant::now();
                let answered = vm.on_grpc(token, event);
                metrics.observe(Phase::Grpc, started.elapsed());
                let waited = matches!(answered, Ok(true));
                report(&pool, &vm, answered.map(drop));
                waited
            };
            let end = services.callouts[worker]
                .grpc(&upstreams, call, &mut deliver)
                .await;
            match end {
                GrpcEnd::Answered => metrics.callout(CalloutResult::Answered),
                GrpcEnd::TimedOut => metrics.callout(CalloutResult::TimedOut),
                GrpcEnd::Failed => metrics.callout(CalloutResult::Failed),
                GrpcEnd::Cancelled => metrics.callout(CalloutResult::Cancelled),
            }
        });
    }
}
