//! The pods of a node as a layout's rules name them.

use super::super::cluster;
use crate::lab::{Family, Lab, addresses};

/// The pods that open flows, those that take them, and all the other ones of a node, by their addresses of one family.
pub(super) struct Pods {
    pub(super) clients: Vec<String>,
    pub(super) servers: Vec<String>,
    pub(super) others: Vec<String>,
}

impl Pods {
    pub(super) fn of(lab: &Lab, family: Family) -> Self {
        let own = |is_client: bool| {
            let of_side =
                lab.pods().into_iter().filter(|pod| (&*pod.key().name == cluster::CLIENT) == is_client);
            of_side.map(|pod| pod.address(family).to_string()).collect()
        };
        let other = |host: u8| -> String {
            family.pick(addresses::pod4(1, host).to_string(), addresses::pod6(1, host.into()).to_string())
        };
        Self {
            clients: own(true),
            servers: own(false),
            others: (100..100 + cluster::LOCAL_PODS).map(other).collect(),
        }
    }

    /// Every pod, with those of the flows in the middle.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        let (before, after) = self.others.split_at(self.others.len() / 2);
        before.iter().chain(&self.clients).chain(&self.servers).chain(after)
    }
}
