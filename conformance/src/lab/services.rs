//! What a lab does with its Services: kube-proxy's part on every node.

use super::{
    Family, Lab, LabError, Place, Pod, Service, builder::in_parallel, kube_proxy, kube_proxy::Endpoint,
};
use std::{net::IpAddr, sync::Arc};

impl Lab {
    /// Replaces the Services of the cluster. On each node kube-proxy's tables are rewritten in one transaction.
    ///
    /// They follow the pods by themselves: a backend that starts or stops rewrites the tables again. Unlike kube-proxy this
    /// deletes no conntrack entry: a UDP flow to an old backend keeps it.
    ///
    /// # Errors
    /// [`LabError::Command`] with nft's message, for example about two Services with one address and port.
    pub fn set_services(&self, services: &[Service]) -> Result<(), LabError> {
        *self.service_list() = services.to_vec();
        self.write_services()
    }

    /// Rewrites what depends on these pods: kube-proxy's tables if they are backends, portmap's if they have host ports.
    pub(crate) fn follow_pods(&self, pods: &[Arc<Pod>]) -> Result<(), LabError> {
        let backends = pods.iter().map(Place::from);
        let concerned = {
            let services = self.service_list();
            backends.into_iter().any(|b| services.iter().any(|s| s.backends.contains(&b)))
        };
        if concerned {
            self.write_services()?;
        }
        for node in self.nodes() {
            if pods.iter().any(|p| p.node() == node.index() && !p.host_ports().is_empty()) {
                let mut own = self.pods();
                own.retain(|p| p.node() == node.index());
                node.netns().nft(&kube_proxy::host_port_tables(&own))?;
            }
        }
        Ok(())
    }

    fn write_services(&self) -> Result<(), LabError> {
        let services = self.service_list().clone();
        let with_endpoints: Vec<(&Service, Vec<Endpoint>)> = services
            .iter()
            .map(|s| (s, s.backends.iter().enumerate().flat_map(|(i, b)| self.endpoints(i, b)).collect()))
            .collect();
        in_parallel(self.nodes(), |node| node.netns().nft(&kube_proxy::tables(node.index(), &with_endpoints)))
    }

    /// The addresses of a backend; none while it is not up.
    fn endpoints(&self, backend: usize, place: &Place) -> Vec<Endpoint> {
        let on = |node, addresses: Vec<IpAddr>| {
            addresses.into_iter().map(move |address| Endpoint { address, node, backend }).collect()
        };
        let both = |place: &Place| Family::BOTH.iter().filter_map(|&f| self.address(place, f).ok()).collect();
        match place {
            Place::Node(n) => on(*n, both(place)),
            Place::Pod(key) => {
                let pod = self.pod(&key.namespace, &key.name);
                pod.map_or_else(Vec::new, |p| on(p.node(), p.addresses().collect()))
            }
            // A backend outside the cluster is on no node.
            Place::Outside => on(0, both(place)),
        }
    }
}
