//! What the cases of a group share: a cluster, its pods, and what its nodes were like before Palisade came.

use super::{
    case::{Fault, wrong},
    node_state::NodeState,
    pods::{self, Pods},
};
use crate::{
    cluster::{Cluster, engine::palisade},
    policyctl_run::{self, Ran},
};

pub(super) struct Ground {
    pub(super) cluster: Cluster,
    pods: Option<Pods>,
    /// Of each node, from before Palisade was installed.
    pub(super) before: Option<Vec<NodeState>>,
    installed: bool,
    /// Palisade could not be installed: that is said once and waited for once.
    hopeless: bool,
}

impl Ground {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster, pods: None, before: None, installed: false, hopeless: false }
    }

    /// The suite's pods and policies, made where they are not there yet.
    pub(super) fn pods(&mut self) -> Result<&Pods, Fault> {
        if self.pods.is_none() {
            self.pods = Some(Pods::ensure(&self.cluster)?);
            pods::apply_policies(&self.cluster)?;
        }
        self.pods.as_ref().ok_or_else(|| Fault::Wrong("there are no pods".to_owned()))
    }

    /// The pods have other namespaces and addresses now.
    pub(super) fn pods_changed(&mut self) -> Result<(), Fault> {
        self.pods = Some(Pods::find(&self.cluster)?);
        Ok(())
    }

    /// Installs Palisade as docs/install.md says, unless it is.
    pub(super) fn ensure_installed(&mut self) -> Result<(), Fault> {
        self.pods()?;
        if self.hopeless {
            return wrong("Palisade could not be installed, see above");
        }
        if !self.installed {
            self.hopeless = true;
            let nodes = self.cluster.nodes();
            self.before = Some(nodes.iter().map(NodeState::of).collect::<Result<_, _>>()?);
            palisade::load(&self.cluster, env!("CARGO_PKG_VERSION"))?;
            palisade::apply(&self.cluster)?;
            palisade::wait(&self.cluster)?;
            (self.installed, self.hopeless) = (true, false);
        }
        Ok(())
    }

    /// It has been taken away.
    pub(super) fn uninstalled(&mut self) {
        self.installed = false;
    }

    /// `policyctl` as the administrator.
    pub(super) fn policyctl(&self, line: &str) -> Result<Ran, Fault> {
        let config = self.cluster.kubeconfig().display().to_string();
        let words = ["--kubeconfig", &config].into_iter().chain(line.split(' '));
        Ok(policyctl_run::policyctl(self.cluster.control_plane(), words)?)
    }

    /// A run of `policyctl` that must end with a code.
    pub(super) fn require_policyctl(&self, line: &str, code: u8) -> Result<Ran, Fault> {
        let ran = self.policyctl(line)?;
        if ran.code != code {
            return wrong(format!(
                "policyctl {line} ends with {}, not {code}: {}{}",
                ran.code, ran.out, ran.err
            ));
        }
        Ok(ran)
    }

    /// All nodes say that what is in force is what the policies say, and their kernels prove it.
    pub(super) fn require_in_force(&self) -> Result<(), Fault> {
        super::case::eventually("every node is up to date", || Ok(self.policyctl("status")?.code == 0))?;
        let proof = self.require_policyctl("verify -o json", 0)?;
        let nodes = proof.json()["nodes"].as_array().map_or(0, Vec::len);
        if nodes != self.cluster.nodes().len() {
            return wrong(format!(
                "policyctl verify is about {nodes} nodes of {}",
                self.cluster.nodes().len()
            ));
        }
        Ok(())
    }
}
