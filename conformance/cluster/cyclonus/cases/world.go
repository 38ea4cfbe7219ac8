package main

import (
	"strings"
	"time"

	"github.com/mattfenwick/cyclonus/pkg/kube"
	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
)

// world is a cluster as cyclonus knows it, with the namespaces x, y and z that its cases name. In the real cluster each has a suffix, so that
// several worlds do not meet: no probe goes from one to another, and what a selector finds in another world is of no effect.
type world struct {
	cluster kube.IKubernetes
	suffix  string
	image   string
}

func newWorld(cluster kube.IKubernetes, name, image string) *world {
	return &world{cluster: cluster, suffix: "-" + name, image: image}
}

func (w *world) real(namespace string) string   { return namespace + w.suffix }
func (w *world) told(namespace string) string   { return strings.TrimSuffix(namespace, w.suffix) }
func (w *world) isOurs(namespace string) bool   { return strings.HasSuffix(namespace, w.suffix) }
func (w *world) tellPod(pod *v1.Pod) *v1.Pod    { pod.Namespace = w.told(pod.Namespace); return pod }
func (w *world) tell(s *v1.Service) *v1.Service { s.Namespace = w.told(s.Namespace); return s }

func (w *world) tellNamespace(namespace *v1.Namespace) *v1.Namespace {
	namespace.Name = w.told(namespace.Name)
	namespace.Labels = renamed(namespace.Labels, w.told)
	return namespace
}

// renamed gives labels in which the name of a namespace is another.
func renamed(labels map[string]string, name func(string) string) map[string]string {
	result := map[string]string{}
	for key, value := range labels {
		if key == kube.DefaultNamespaceLabel {
			value = name(value)
		}
		result[key] = value
	}
	return result
}

func (w *world) CreateNamespace(namespace *v1.Namespace) (*v1.Namespace, error) {
	namespace = namespace.DeepCopy()
	namespace.Name = w.real(namespace.Name)
	namespace.Labels = renamed(namespace.Labels, w.real)
	var created *v1.Namespace
	// One that an earlier case has deleted may not be gone yet.
	err := patiently(apierrors.IsAlreadyExists, func() (err error) {
		created, err = w.cluster.CreateNamespace(namespace)
		return err
	})
	if err != nil {
		return nil, err
	}
	return w.tellNamespace(created), nil
}

func (w *world) GetNamespace(namespace string) (*v1.Namespace, error) {
	found, err := w.cluster.GetNamespace(w.real(namespace))
	if err != nil {
		return nil, err
	}
	return w.tellNamespace(found), nil
}

func (w *world) SetNamespaceLabels(namespace string, labels map[string]string) (*v1.Namespace, error) {
	var updated *v1.Namespace
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		updated, err = w.cluster.SetNamespaceLabels(w.real(namespace), renamed(labels, w.real))
		return err
	})
	if err != nil {
		return nil, err
	}
	return w.tellNamespace(updated), nil
}

func (w *world) DeleteNamespace(namespace string) error {
	return w.cluster.DeleteNamespace(w.real(namespace))
}

func (w *world) GetAllNamespaces() (*v1.NamespaceList, error) {
	all, err := w.cluster.GetAllNamespaces()
	if err != nil {
		return nil, err
	}
	ours := &v1.NamespaceList{}
	for _, namespace := range all.Items {
		if w.isOurs(namespace.Name) {
			ours.Items = append(ours.Items, *w.tellNamespace(&namespace))
		}
	}
	return ours, nil
}

func (w *world) realPolicy(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	policy = policy.DeepCopy()
	policy.Namespace = w.real(policy.Namespace)
	for _, rule := range policy.Spec.Ingress {
		w.rename(rule.From)
	}
	for _, rule := range policy.Spec.Egress {
		w.rename(rule.To)
	}
	return policy
}

// rename changes what peers call namespaces by their name.
func (w *world) rename(peers []networkingv1.NetworkPolicyPeer) {
	for _, peer := range peers {
		selector := peer.NamespaceSelector
		if selector == nil {
			continue
		}
		if name, ok := selector.MatchLabels[kube.DefaultNamespaceLabel]; ok {
			selector.MatchLabels[kube.DefaultNamespaceLabel] = w.real(name)
		}
		for _, requirement := range selector.MatchExpressions {
			if requirement.Key != kube.DefaultNamespaceLabel {
				continue
			}
			for i, name := range requirement.Values {
				requirement.Values[i] = w.real(name)
			}
		}
	}
}

func (w *world) CreateNetworkPolicy(policy *networkingv1.NetworkPolicy) (*networkingv1.NetworkPolicy, error) {
	_, err := w.cluster.CreateNetworkPolicy(w.realPolicy(policy))
	return policy, err
}

func (w *world) GetNetworkPoliciesInNamespace(namespace string) ([]networkingv1.NetworkPolicy, error) {
	return w.cluster.GetNetworkPoliciesInNamespace(w.real(namespace))
}

func (w *world) UpdateNetworkPolicy(policy *networkingv1.NetworkPolicy) (*networkingv1.NetworkPolicy, error) {
	_, err := w.cluster.UpdateNetworkPolicy(w.realPolicy(policy))
	return policy, err
}

func (w *world) DeleteNetworkPolicy(namespace string, name string) error {
	return w.cluster.DeleteNetworkPolicy(w.real(namespace), name)
}

func (w *world) DeleteAllNetworkPoliciesInNamespace(namespace string) error {
	return w.cluster.DeleteAllNetworkPoliciesInNamespace(w.real(namespace))
}

func (w *world) CreateService(service *v1.Service) (*v1.Service, error) {
	service = service.DeepCopy()
	service.Namespace = w.real(service.Namespace)
	created, err := w.cluster.CreateService(service)
	if err != nil {
		return nil, err
	}
	return w.tell(created), nil
}

func (w *world) GetService(namespace string, name string) (*v1.Service, error) {
	found, err := w.cluster.GetService(w.real(namespace), name)
	if err != nil {
		return nil, err
	}
	return w.tell(found), nil
}

func (w *world) DeleteService(namespace string, name string) error {
	return w.cluster.DeleteService(w.real(namespace), name)
}

func (w *world) GetServicesInNamespace(namespace string) ([]v1.Service, error) {
	services, err := w.cluster.GetServicesInNamespace(w.real(namespace))
	for i := range services {
		w.tell(&services[i])
	}
	return services, err
}

func (w *world) CreatePod(pod *v1.Pod) (*v1.Pod, error) {
	pod = pod.DeepCopy()
	pod.Namespace = w.real(pod.Namespace)
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].Image = w.image
	}
	var created *v1.Pod
	// In a new namespace the account that pods run as is not there at once.
	err := patiently(apierrors.IsForbidden, func() (err error) {
		created, err = w.cluster.CreatePod(pod)
		return err
	})
	if err != nil {
		return nil, err
	}
	return w.tellPod(created), nil
}

func (w *world) GetPod(namespace string, pod string) (*v1.Pod, error) {
	found, err := w.cluster.GetPod(w.real(namespace), pod)
	if err != nil {
		return nil, err
	}
	return w.tellPod(found), nil
}

func (w *world) DeletePod(namespace string, pod string) error {
	return w.cluster.DeletePod(w.real(namespace), pod)
}

// SetPodLabels repeats what meets the kubelet's own updates, where cyclonus gives up.
func (w *world) SetPodLabels(namespace string, pod string, labels map[string]string) (*v1.Pod, error) {
	var updated *v1.Pod
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		updated, err = w.cluster.SetPodLabels(w.real(namespace), pod, labels)
		return err
	})
	if err != nil {
		return nil, err
	}
	return w.tellPod(updated), nil
}

func (w *world) GetPodsInNamespace(namespace string) ([]v1.Pod, error) {
	found, err := w.cluster.GetPodsInNamespace(w.real(namespace))
	var pods []v1.Pod
	for i := range found {
		// One that is going is gone for cyclonus.
		if found[i].DeletionTimestamp == nil {
			pods = append(pods, *w.tellPod(&found[i]))
		}
	}
	return pods, err
}

func (w *world) ExecuteRemoteCommand(namespace string, pod string, container string, command []string) (string, string, error, error) {
	return w.cluster.ExecuteRemoteCommand(w.real(namespace), pod, container, command)
}

// patiently repeats what fails in a way that passes.
func patiently(passes func(error) bool, action func() error) error {
	for begin := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		err := action()
		if err == nil || !passes(err) || time.Since(begin) > time.Minute {
			return err
		}
	}
}

var _ kube.IKubernetes = &world{}
