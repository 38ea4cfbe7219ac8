//! What the loop is told: it is taken in, fed to the compiler, and waits to be committed.

use super::Daemon;
use crate::{
    apply::{batch::Seen, input::Input},
    nft::Backend,
    node::tracker::Update,
};
use compiler::Event;
use policy_model::cluster::Change;
use std::{ops::ControlFlow, time::Instant};
use tracing::{Span, debug, info, info_span};

impl<B: Backend> Daemon<B> {
    pub(super) fn take(&mut self, input: Input) -> ControlFlow<()> {
        match input {
            Input::Changes { changes, seen } => self.take_changes(changes, seen),
            Input::Host { facts, seen } => {
                let update = self.tracker.read(*facts, &self.cluster);
                self.ensure_flags();
                self.take_host(update, seen);
            }
            Input::PoliciesAt(version) => {
                let in_force = self.is_idle() && self.engine.is_up_to_date() && !self.provisional;
                self.telling.policies_at(version, in_force);
            }
            Input::Part(part) => {
                if let Some(step) = self.engine.check(*part) {
                    self.follow(step);
                }
            }
            Input::Conntrack { entries, took } => {
                self.engine.forget(entries, took);
                self.metrics.set_totals(&self.engine.totals());
            }
            Input::Foreign => self.schedule.foreign(Instant::now()),
            Input::Ask(question) => self.answer(question),
            Input::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn take_changes(&mut self, changes: Vec<Change>, seen: Instant) {
        let node = self.tracker.config().node.clone();
        let moves = |change: &Change| match change {
            Change::Pod(pod) => self.cluster.pod(&pod.key).is_none_or(|old| old.ips != pod.ips),
            Change::PodDeleted(_) => true,
            _ => false,
        };
        self.batch.addresses_moved |= changes.iter().any(moves);
        // This node's ranges and pods tell which bridge is the pods'.
        let concerns_host = changes.iter().any(|change| match change {
            Change::Node(changed) => changed.name == node,
            Change::NodeDeleted(name) => *name == node,
            Change::Pod(pod) => pod.node.as_ref() == Some(&node) && moves(change),
            _ => false,
        });
        self.batch.reads += 1;
        if std::mem::take(&mut self.provisional) {
            info!("the source has told its state");
        }
        if changes.is_empty() {
            return self.schedule.changed(Instant::now());
        }
        self.note(changes.len(), Seen::of_source(&changes, seen));
        self.telling.cluster_changed();
        if let Some(keeper) = &mut self.keeper {
            keeper.changed(Instant::now());
        }
        let span = self.batch.span.clone();
        span.in_scope(|| {
            for change in changes {
                debug!(?change);
                self.cluster.apply(change.clone());
                self.engine.apply(change.into());
            }
        });
        if concerns_host {
            let update = self.tracker.refresh(&self.cluster);
            self.take_host(update, seen);
        }
    }

    fn take_host(&mut self, update: Update, seen: Instant) {
        let count = update.count();
        if count == 0 {
            return;
        }
        self.note(count, Seen::of_host(seen));
        if update.is_urgent() {
            self.schedule.urgent(Instant::now());
        }
        let span = self.batch.span.clone();
        span.in_scope(|| {
            if let Some(config) = update.config.clone() {
                info!(bridges = ?config.bridges, overlay_ports = ?config.overlay_ports,
                    bridge_table = config.bridge_table, guards = ?config.guards, "the node's settings");
                self.engine.set_config(config);
            }
            for event in update.events() {
                match &event {
                    Event::Port(port) => {
                        debug!(pod = %port.pod, container = %port.id, ifindex = port.ifindex, "port attached");
                    }
                    event => debug!(?event, "host"),
                }
                self.engine.apply(event);
            }
        });
        self.ensure_flags();
    }

    /// Around everything from the first event to the end of its commit, with the number of the revision that it is to be.
    pub(super) fn span(&self) -> Span {
        info_span!("change", revision = self.engine.revision() + 1)
    }

    fn note(&mut self, events: usize, seen: Seen) {
        if self.batch.events == 0 {
            self.batch.span = self.span();
        }
        self.batch.events += events;
        self.batch.seen.push(seen);
        self.schedule.changed(Instant::now());
    }
}
