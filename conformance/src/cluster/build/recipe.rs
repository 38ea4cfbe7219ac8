//! What is built: one line of a table for each.

/// How Go makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Kind {
    /// Static programs, without cgo.
    Programs,
    /// A program of which some part needs cgo.
    WithCgo,
    /// A test binary.
    Tests,
}

/// Programs that one call of Go builds into one folder of the cache.
#[derive(Debug)]
pub(in crate::cluster) struct Recipe {
    /// What people call it, and the start of its folder's name.
    pub(in crate::cluster) name: &'static str,
    /// The folder of its Go module, below `conformance/cluster`.
    pub(super) module: &'static str,
    /// The requirement of `go.mod` whose version it has; none for what is ours.
    pub(super) upstream: Option<&'static str>,
    /// What Go is told to build. Of those that start with `./` the sources are part of the digest.
    pub(super) packages: &'static [&'static str],
    pub(super) kind: Kind,
    /// The variables that the linker sets to the version, such as `k8s.io/component-base/version.gitVersion`.
    pub(super) version_variables: &'static [&'static str],
    /// More names of the program: each a link to it.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// A file of the first package that is kept beside it.
    pub(super) file: Option<&'static str>,
}

const NOTHING: Recipe = Recipe {
    name: "",
    module: "",
    upstream: None,
    packages: &[],
    kind: Kind::Programs,
    version_variables: &[],
    links: &[],
    file: None,
};

/// What Kubernetes' programs tell of themselves, and compare.
const COMPONENT_VERSION: &[&str] = &["k8s.io/component-base/version.gitVersion"];

/// All components of Kubernetes, and etcd: one program that each name is a link to.
pub(in crate::cluster) const KUBERNETES: Recipe = Recipe {
    name: "kubernetes",
    module: "kubernetes",
    upstream: Some("k8s.io/kubernetes"),
    packages: &["./kubeall"],
    version_variables: COMPONENT_VERSION,
    links: &[
        ("kube-apiserver", "kubeall"),
        ("kube-controller-manager", "kubeall"),
        ("kube-scheduler", "kubeall"),
        ("kubelet", "kubeall"),
        ("kube-proxy", "kubeall"),
        ("kubectl", "kubeall"),
        ("etcd", "kubeall"),
    ],
    ..NOTHING
};

/// What the pods of the upstream suites run. `VERSION` is the tag of its image.
pub(in crate::cluster) const AGNHOST: Recipe = Recipe {
    name: "agnhost",
    module: "kubernetes",
    upstream: Some("k8s.io/kubernetes"),
    packages: &["k8s.io/kubernetes/test/images/agnhost"],
    file: Some("VERSION"),
    ..NOTHING
};

/// The upstream NetworkPolicy specs alone.
pub(in crate::cluster) const NETPOL: Recipe = Recipe {
    name: "netpol",
    module: "kubernetes",
    upstream: Some("k8s.io/kubernetes"),
    packages: &["./netpol"],
    kind: Kind::Tests,
    version_variables: COMPONENT_VERSION,
    ..NOTHING
};

/// Runs the specs of a test binary side by side. Its version must be the one that the binary links.
pub(in crate::cluster) const GINKGO: Recipe = Recipe {
    name: "ginkgo",
    module: "kubernetes",
    upstream: Some("github.com/onsi/ginkgo/v2"),
    packages: &["github.com/onsi/ginkgo/v2/ginkgo"],
    ..NOTHING
};

/// The first process of each pod.
pub(in crate::cluster) const PAUSE: Recipe =
    Recipe { name: "pause", module: "pause", packages: &["."], ..NOTHING };

/// The CNI plugins that Flannel's configuration names.
pub(in crate::cluster) const CNI_PLUGINS: Recipe = Recipe {
    name: "cni-plugins",
    module: "cni-plugins",
    upstream: Some("github.com/containernetworking/plugins"),
    packages: &[
        "github.com/containernetworking/plugins/plugins/main/bridge",
        "github.com/containernetworking/plugins/plugins/main/loopback",
        "github.com/containernetworking/plugins/plugins/ipam/host-local",
        "github.com/containernetworking/plugins/plugins/meta/portmap",
    ],
    ..NOTHING
};

/// The CNI plugin `flannel`, from the last release of the plugins that had it.
pub(in crate::cluster) const CNI_FLANNEL: Recipe = Recipe {
    name: "cni-flannel",
    module: "cni-flannel",
    upstream: Some("github.com/containernetworking/plugins"),
    packages: &["github.com/containernetworking/plugins/plugins/meta/flannel"],
    ..NOTHING
};

/// Flannel's daemon. Its udp backend needs cgo.
pub(in crate::cluster) const FLANNELD: Recipe = Recipe {
    name: "flannel",
    module: "flannel",
    upstream: Some("github.com/flannel-io/flannel"),
    packages: &["github.com/flannel-io/flannel"],
    kind: Kind::WithCgo,
    version_variables: &["github.com/flannel-io/flannel/pkg/version.Version"],
    links: &[("flanneld", "flannel")],
    ..NOTHING
};

/// The other policy engine, as a control.
pub(in crate::cluster) const KUBE_ROUTER: Recipe = Recipe {
    name: "kube-router",
    module: "kube-router",
    upstream: Some("github.com/cloudnativelabs/kube-router/v2"),
    packages: &["github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"],
    version_variables: &["github.com/cloudnativelabs/kube-router/v2/pkg/version.Version"],
    ..NOTHING
};

/// What renders `deploy/chart`. Kubernetes' modules have the versions of [`KUBERNETES`], so that Go compiles them once.
pub(in crate::cluster) const HELM: Recipe = Recipe {
    name: "helm",
    module: "helm",
    upstream: Some("helm.sh/helm/v4"),
    packages: &["helm.sh/helm/v4/cmd/helm"],
    ..NOTHING
};

/// The name service, with few of its plugins.
pub(in crate::cluster) const COREDNS: Recipe = Recipe {
    name: "coredns",
    module: "coredns",
    upstream: Some("github.com/coredns/coredns"),
    packages: &["."],
    ..NOTHING
};

/// cyclonus itself, whose `analyze` is compared with `policyctl`.
pub(in crate::cluster) const CYCLONUS_ITSELF: Recipe = Recipe {
    name: "cyclonus-itself",
    module: "cyclonus",
    upstream: Some("github.com/mattfenwick/cyclonus"),
    packages: &["github.com/mattfenwick/cyclonus/cmd/cyclonus"],
    ..NOTHING
};

/// Cases of cyclonus in a world of their own, and what probes in their pods.
pub(in crate::cluster) const CYCLONUS: Recipe = Recipe {
    name: "cyclonus",
    module: "cyclonus",
    upstream: Some("github.com/mattfenwick/cyclonus"),
    packages: &["./cases", "./worker"],
    ..NOTHING
};
