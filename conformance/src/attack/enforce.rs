//! What `policyd` does on each node: objects in, the compiler's word into the kernel.

use super::objects;
use crate::lab::{Lab, LabError, Pod, addresses};
use compiler::{
    Compiler, Event,
    config::Config,
    text::{self, Style},
};
use policy_model::cluster::Change;
use std::sync::Arc;

/// Commits what the compiler was told and loads the difference on a node, as one transaction.
///
/// # Errors
/// [`LabError::Command`] with nft's own message.
pub fn enforce(lab: &Lab, node: u8, compiler: &mut Compiler) -> Result<(), LabError> {
    lab.nft(node, &text::delta(&compiler.commit(), Style::FULL))
}

/// Both nodes of a lab with our tables on them.
#[derive(Debug)]
pub struct Installed<'a> {
    lab: &'a Lab,
    compilers: Vec<(u8, Compiler)>,
}

impl<'a> Installed<'a> {
    /// Compiles the pods of the lab and the [`policies`](objects::policies) for every node, and loads both tables there.
    ///
    /// # Errors
    /// As [`enforce`].
    pub fn install(lab: &'a Lab) -> Result<Self, LabError> {
        Self::install_with(lab, |_| {})
    }

    /// As [`Self::install`], with settings changed by `adjust`.
    ///
    /// # Errors
    /// As [`enforce`].
    pub fn install_with(lab: &'a Lab, adjust: impl Fn(&mut Config)) -> Result<Self, LabError> {
        Self::install_for(lab, &lab.pods(), adjust)
    }

    /// As [`Self::install_with`], but the nodes are told of these pods only.
    ///
    /// # Errors
    /// As [`enforce`].
    pub fn install_for(
        lab: &'a Lab,
        pods: &[Arc<Pod>],
        adjust: impl Fn(&mut Config),
    ) -> Result<Self, LabError> {
        let mut installed = Self { lab, compilers: Vec::new() };
        for node in lab.nodes() {
            let mut config = Config::new(node.name(), "cni0");
            config.broadcasts = vec![addresses::pod4(node.index(), 255)];
            adjust(&mut config);
            installed.compilers.push((node.index(), Compiler::new(config)));
        }
        let mut events: Vec<Event> = objects::cluster_with(lab, pods).into_iter().map(Event::from).collect();
        events.extend(objects::policies()?.into_iter().map(Event::from));
        for pod in pods {
            installed.tell(pod.node(), Event::Port(objects::port(lab, pod)?));
        }
        installed.apply(events)?;
        Ok(installed)
    }

    /// Feeds every node's compiler, and loads what follows from it.
    ///
    /// # Errors
    /// As [`enforce`].
    pub fn apply(&mut self, events: impl IntoIterator<Item = Event>) -> Result<(), LabError> {
        for event in events {
            self.compilers.iter_mut().for_each(|(_, compiler)| compiler.apply(event.clone()));
        }
        self.compilers.iter_mut().try_for_each(|(node, compiler)| enforce(self.lab, *node, compiler))
    }

    /// Changes the settings of nodes where the tables are in force.
    ///
    /// # Errors
    /// As [`enforce`].
    pub fn switch(&mut self, adjust: impl Fn(&mut Config)) -> Result<(), LabError> {
        for (_, compiler) in &mut self.compilers {
            let mut config = compiler.config().clone();
            adjust(&mut config);
            compiler.set_config(config);
        }
        self.apply([])
    }

    /// As [`Self::apply`], with manifests of policies.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the manifests' problems, and as [`enforce`].
    pub fn apply_manifests(&mut self, text: &str) -> Result<(), LabError> {
        let changes: Vec<Change> = objects::parse(text)?;
        self.apply(changes.into_iter().map(Event::from))
    }

    fn tell(&mut self, node: u8, event: Event) {
        let own = self.compilers.iter_mut().filter(|(n, _)| *n == node);
        own.for_each(|(_, compiler)| compiler.apply(event.clone()));
    }

    /// Replaces our tables on every node by what nft lists of them: what an administrator's restored backup would be.
    ///
    /// # Errors
    /// [`LabError::Command`] with nft's own message.
    pub fn reload_own_listing(&self) -> Result<(), LabError> {
        for node in self.lab.nodes() {
            let text = listing(self.lab, node.index())?;
            self.lab.nft(node.index(), &(removal() + &text))?;
        }
        Ok(())
    }

    /// Takes our tables off every node.
    ///
    /// # Errors
    /// [`LabError::Command`] with nft's own message.
    pub fn remove(self) -> Result<(), LabError> {
        let nodes = self.lab.nodes().iter();
        nodes.map(|node| node.index()).try_for_each(|node| self.lab.nft(node, &removal()))
    }
}

const TABLES: [&str; 2] = ["inet palisade", "bridge palisade"];

/// Makes no mistake of a table that is not there.
fn removal() -> String {
    TABLES.iter().map(|table| format!("table {table}\ndelete table {table}\n")).collect()
}

fn listing(lab: &Lab, node: u8) -> Result<String, LabError> {
    let netns = lab.node(node).netns();
    let list = |table: &str| {
        let words: Vec<_> = ["nft", "list", "table"].into_iter().chain(table.split(' ')).collect();
        netns.exec(&words)
    };
    TABLES.iter().map(|table| list(table)).collect()
}
