package main

import (
	"errors"
	"fmt"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// chart is what was rendered, by kind.
type chart struct {
	sets     []*appsv1.StatefulSet
	services []*corev1.Service
	errs     []error
}

// fail notes a mistake of an object.
func (c *chart) fail(object runtime.Object, format string, args ...any) {
	name := "an object"
	if accessor, err := meta.Accessor(object); err == nil {
		name = fmt.Sprintf("%s %s", object.GetObjectKind().GroupVersionKind().Kind, accessor.GetName())
	}
	c.errs = append(c.errs, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
}

// checkReferences checks that names and labels lead to objects that are there. Only secrets, config maps and accounts may be others' work.
func checkReferences(objects []runtime.Object) error {
	c := &chart{}
	seen := map[string]bool{}
	for _, object := range objects {
		switch o := object.(type) {
		case *appsv1.StatefulSet:
			c.sets = append(c.sets, o)
		case *corev1.Service:
			c.services = append(c.services, o)
		}
		c.checkName(object, seen)
	}
	for _, object := range objects {
		switch o := object.(type) {
		case *appsv1.StatefulSet:
			c.checkSet(o)
		case *corev1.Service:
			c.checkService(o)
		case *policyv1.PodDisruptionBudget:
			c.checkSelects(o, o.Spec.Selector)
		case *networkingv1.NetworkPolicy:
			c.checkSelects(o, &o.Spec.PodSelector)
		case *monitoringv1.ServiceMonitor:
			c.checkMonitor(o)
		}
	}
	return errors.Join(c.errs...)
}

// checkName: an object has a name, and there is one of this kind and name.
func (c *chart) checkName(object runtime.Object, seen map[string]bool) {
	accessor, err := meta.Accessor(object)
	if err != nil || accessor.GetName() == "" {
		c.fail(object, "it has no name")
		return
	}
	c.checkSpelling(object, accessor)
	key := object.GetObjectKind().GroupVersionKind().String() + "/" + accessor.GetNamespace() + "/" + accessor.GetName()
	if seen[key] {
		c.fail(object, "it is there twice")
	}
	seen[key] = true
}

// longestSet is how long the name of a set may be: its pods have a label with the name and the hash of a revision, of 63 bytes at most.
const longestSet = 52

// checkSpelling: names, labels and annotations are written as Kubernetes accepts them.
func (c *chart) checkSpelling(object runtime.Object, accessor metav1.Object) {
	name := accessor.GetName()
	mistakes := validation.IsDNS1123Subdomain(name)
	switch o := object.(type) {
	case *corev1.Service:
		mistakes = validation.IsDNS1035Label(name)
	case *appsv1.StatefulSet:
		if len(name) > longestSet {
			mistakes = append(mistakes, fmt.Sprintf("must be no more than %d characters", longestSet))
		}
		pod := o.Spec.Template.ObjectMeta
		mistakes = append(mistakes, written(field.NewPath("spec", "template", "metadata"), &pod)...)
	}
	for _, mistake := range append(mistakes, written(field.NewPath("metadata"), accessor)...) {
		c.fail(object, "%s", oneLine(errors.New(mistake)))
	}
}

// written are the mistakes in labels and annotations.
func written(path *field.Path, object metav1.Object) (mistakes []string) {
	all := metav1validation.ValidateLabels(object.GetLabels(), path.Child("labels"))
	for _, err := range append(all, apivalidation.ValidateAnnotations(object.GetAnnotations(), path.Child("annotations"))...) {
		mistakes = append(mistakes, err.Error())
	}
	return mistakes
}

// checkSet: a set's selector finds its own pods, its service is there, and mounts lead to volumes.
func (c *chart) checkSet(set *appsv1.StatefulSet) {
	pod := set.Spec.Template
	if !matches(set.Spec.Selector, pod.Labels) {
		c.fail(set, "its selector does not find its pods")
	}
	governs := slices.ContainsFunc(c.services, func(s *corev1.Service) bool {
		return s.Name == set.Spec.ServiceName && s.Spec.ClusterIP == corev1.ClusterIPNone
	})
	if !governs {
		c.fail(set, "serviceName %s is no headless service", set.Spec.ServiceName)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, claim := range set.Spec.VolumeClaimTemplates {
		volumes[claim.Name] = true
	}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				c.fail(set, "container %s mounts %s, which is no volume", container.Name, mount.Name)
			}
		}
		c.checkProbes(set, container)
		c.checkResources(set, container)
	}
}

// checkProbes: the ports that probes name are the container's.
func (c *chart) checkProbes(set *appsv1.StatefulSet, container corev1.Container) {
	for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe, container.StartupProbe} {
		switch {
		case probe == nil:
		case probe.HTTPGet != nil && !hasPort(container.Ports, probe.HTTPGet.Port):
			c.fail(set, "a probe of container %s asks port %s, which it has not", container.Name, probe.HTTPGet.Port.String())
		case probe.TCPSocket != nil && !hasPort(container.Ports, probe.TCPSocket.Port):
			c.fail(set, "a probe of container %s asks port %s, which it has not", container.Name, probe.TCPSocket.Port.String())
		}
	}
}

// checkResources: no container asks for more than it may have.
func (c *chart) checkResources(set *appsv1.StatefulSet, container corev1.Container) {
	for name, asked := range container.Resources.Requests {
		if limit, limited := container.Resources.Limits[name]; limited && limit.Cmp(asked) < 0 {
			c.fail(set, "container %s requests %s of %s and may have %s", container.Name, asked.String(), name, limit.String())
		}
	}
}

// checkService: a service finds pods, and its target ports are theirs.
func (c *chart) checkService(service *corev1.Service) {
	found := false
	for _, set := range c.sets {
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(set.Spec.Template.Labels)) {
			continue
		}
		found = true
		var ports []corev1.ContainerPort
		for _, container := range set.Spec.Template.Spec.Containers {
			ports = append(ports, container.Ports...)
		}
		for _, port := range service.Spec.Ports {
			if !hasPort(ports, port.TargetPort) {
				c.fail(service, "port %s leads to %s, which no container has", port.Name, port.TargetPort.String())
			}
		}
	}
	if !found || len(service.Spec.Selector) == 0 {
		c.fail(service, "it finds no pods")
	}
}

// checkSelects: what is for pods finds some.
func (c *chart) checkSelects(object runtime.Object, selector *metav1.LabelSelector) {
	found := slices.ContainsFunc(c.sets, func(set *appsv1.StatefulSet) bool { return matches(selector, set.Spec.Template.Labels) })
	if !found {
		c.fail(object, "it finds no pods")
	}
}

// checkMonitor: Prometheus finds one service, which has the port.
func (c *chart) checkMonitor(monitor *monitoringv1.ServiceMonitor) {
	found := 0
	for _, service := range c.services {
		if !matches(&monitor.Spec.Selector, service.Labels) || !slices.Contains(monitor.Spec.NamespaceSelector.MatchNames, service.Namespace) {
			continue
		}
		found++
		for _, endpoint := range monitor.Spec.Endpoints {
			if !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == endpoint.Port }) {
				c.fail(monitor, "service %s has no port %s", service.Name, endpoint.Port)
			}
		}
	}
	if found != 1 || len(monitor.Spec.Endpoints) == 0 {
		c.fail(monitor, "it finds %d services with %d endpoints: each pod has to be read once", found, len(monitor.Spec.Endpoints))
	}
}

// matches says whether a selector that says something finds these labels.
func matches(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(set))
}

// hasPort says whether a port is there by its name or its number.
func hasPort(ports []corev1.ContainerPort, wanted intstr.IntOrString) bool {
	return slices.ContainsFunc(ports, func(p corev1.ContainerPort) bool {
		if wanted.Type == intstr.String {
			return p.Name == wanted.StrVal
		}
		return p.ContainerPort == wanted.IntVal
	})
}
