//! The end of a VM: its streams end first, then its roots, each when it says that it is done.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{ContextId, Fault, Life, Live, Vm};
use crate::host::HostAction;
use crate::limits::DONE_TIME_MAX;

/// How far the end of a VM has come.
#[derive(Debug, Default)]
pub(super) enum Retirement {
    #[default]
    None,
    /// [`Vm::stop`] was called: when no stream is left, the roots are asked.
    Asked,
    /// These roots answered that they are not done.
    Waiting(Vec<ContextId>),
}

impl Retirement {
    /// Whether a tick of this root may go on, or begin.
    pub(super) fn allows_tick(&self, root: ContextId) -> bool {
        match self {
            Self::None => true,
            Self::Asked => false,
            Self::Waiting(roots) => roots.contains(&root),
        }
    }
}

impl Vm {
    /// Retires the VM: its ticks end at once; when no stream context is left (now, or with the last
    /// [`Vm::end_stream`]) each root gets `proxy_on_done`. One that answers that it is not done goes on, with ticks and
    /// callouts, until it calls `proxy_done`, at most until [`Vm::give_up`], which [`HostAction::AwaitDone`] asks for.
    /// Then it gets `proxy_on_delete`, and with the last root the memory is freed. The VM keeps itself until then.
    pub fn stop(self: &Arc<Self>) {
        let mut life = self.life.lock();
        let mut ended = Vec::new();
        if let Life::Live(live) = &mut *life
            && matches!(live.retirement, Retirement::None)
        {
            live.retirement = Retirement::Asked;
            ended = mem::take(&mut live.ticking);
        }
        drop(life);
        let stopped = ended
            .into_iter()
            .map(|root| HostAction::SetTick { root, period: None });
        self.hand_over(stopped.collect());
        self.retire_if_idle();
    }

    /// Ends a VM that was stopped and waits for a root to be done. True: there was one.
    pub fn give_up(self: &Arc<Self>) -> bool {
        self.retire(|live, cpu| match mem::take(&mut live.retirement) {
            Retirement::Waiting(roots) => {
                live.delete_roots(&roots, cpu)?;
                Ok(Some(Vec::new()))
            }
            other => {
                live.retirement = other;
                Ok(None)
            }
        })
    }

    /// Asks the roots of a retiring VM that holds no stream any more whether they are done.
    pub(super) fn retire_if_idle(self: &Arc<Self>) {
        self.retire(|live, cpu| {
            let idle = live.store.data().contexts.streams() == 0;
            if !idle || !matches!(live.retirement, Retirement::Asked) {
                return Ok(None);
            }
            live.ask_roots(cpu).map(Some)
        });
    }

    /// Ends the roots that have called `proxy_done` since they were asked.
    pub(super) fn end_done_roots(self: &Arc<Self>) {
        self.retire(|live, cpu| {
            let done = mem::take(&mut live.store.data_mut().done);
            let Retirement::Waiting(roots) = &live.retirement else {
                return Ok(None);
            };
            let (ended, left): (Vec<_>, Vec<_>) =
                roots.iter().partition(|root| done.contains(root));
            if ended.is_empty() {
                return Ok(None);
            }
            live.delete_roots(&ended, cpu)?;
            Ok(Some(left))
        });
    }

    /// Runs a step of the end; it tells the roots that are left, or that it did nothing (`None`).
    fn retire(
        self: &Arc<Self>,
        step: impl FnOnce(&mut Live, Duration) -> wasmtime::Result<Option<Vec<ContextId>>>,
    ) -> bool {
        let mut life = self.life.lock();
        let mut live = match mem::replace(&mut *life, Life::Entered) {
            Life::Live(live) => live,
            other => {
                *life = other;
                return false;
            }
        };
        let first = matches!(live.retirement, Retirement::Asked);
        match step(&mut live, self.plugin.limits.cpu_per_call) {
            Ok(None) => {
                *life = Life::Live(live);
                return false;
            }
            Ok(Some(left)) if left.is_empty() => {
                self.bury(&mut life, *live, Fault::stopped());
            }
            Ok(Some(left)) => {
                live.retirement = Retirement::Waiting(left);
                let mut actions = self.left(&mut live);
                *life = Life::Live(live);
                drop(life);
                if first {
                    *self.until_done.lock() = Some(Arc::clone(self));
                    actions.push(HostAction::AwaitDone {
                        time_max: DONE_TIME_MAX,
                    });
                }
                self.hand_over(actions);
            }
            Err(error) => {
                let fault = Fault::of(&error, live.store.data(), live.callback);
                tracing::warn!(plugin = self.plugin.name, "while a VM was retired: {fault}");
                self.bury(&mut life, *live, Fault::stopped());
            }
        }
        true
    }

    /// The guest is gone, and nothing keeps the VM any more but whoever holds it.
    pub(super) fn let_go(&self) {
        self.alive.store(false, Ordering::Release);
        self.memory.store(0, Ordering::Relaxed);
        // Whoever calls this holds the VM too.
        drop(self.until_done.lock().take());
    }
}

impl Live {
    /// `proxy_on_done` of every root, and `proxy_on_delete` of those that are done; the others are answered.
    fn ask_roots(&mut self, cpu: Duration) -> wasmtime::Result<Vec<ContextId>> {
        let mut left = Vec::new();
        // What was said before it was asked does not count.
        self.store.data_mut().done.clear();
        for root in self.store.data().contexts.roots().to_vec() {
            let mut is_done = true;
            if let Some(done) = self.exports.done.clone() {
                self.begin("proxy_on_done", root, cpu);
                is_done = done.call(&mut self.store, root.0)? != 0;
            }
            let called = mem::take(&mut self.store.data_mut().done);
            if is_done || called.contains(&root) {
                self.delete_roots(&[root], cpu)?;
            } else {
                left.push(root);
            }
        }
        Ok(left)
    }

    fn delete_roots(&mut self, roots: &[ContextId], cpu: Duration) -> wasmtime::Result<()> {
        for root in roots {
            if let Some(delete) = self.exports.delete.clone() {
                self.begin("proxy_on_delete", *root, cpu);
                delete.call(&mut self.store, root.0)?;
            }
            if self.ticking.contains(root) {
                let (root, period) = (*root, None);
                let actions = &mut self.store.data_mut().actions;
                actions.push(HostAction::SetTick { root, period });
            }
        }
        Ok(())
    }
}
