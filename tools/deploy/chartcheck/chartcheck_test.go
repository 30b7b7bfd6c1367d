package main

import (
	"strings"
	"testing"
)

// whole is a chart without mistakes.
const whole = `---
# Source: ringcached/templates/none.yaml
---
# Source: ringcached/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: cache
  namespace: here
  labels: {part: pods}
spec:
  clusterIP: None
  ports:
    - {name: memcache, port: 11211, targetPort: memcache}
    - {name: metrics, port: 9150, targetPort: 9150}
  selector: {app: cache}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: cache
  namespace: here
spec:
  serviceName: cache
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache}}
    spec:
      containers:
        - name: ringcached
          ports: [{name: memcache, containerPort: 11211}, {name: metrics, containerPort: 9150}]
          readinessProbe: {httpGet: {path: /readyz, port: metrics}}
          resources: {limits: {memory: 100Mi}, requests: {memory: 100Mi}}
          volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: cache, namespace: here}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: cache}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cache, namespace: here}
spec: {podSelector: {matchLabels: {app: cache}}}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: cache, namespace: here}
spec:
  namespaceSelector: {matchNames: [here]}
  selector: {matchLabels: {part: pods}}
  endpoints: [{port: metrics}]
`

func check(text string) error {
	objects, err := decode(strings.NewReader(text))
	if err != nil {
		return err
	}
	return checkReferences(objects)
}

func TestAcceptsAWholeChart(t *testing.T) {
	objects, err := decode(strings.NewReader(whole))
	if err != nil || len(objects) != 5 {
		t.Fatalf("%v, %d objects", err, len(objects))
	}
	if err := checkReferences(objects); err != nil {
		t.Error(err)
	}
}

// TestNamesEachMistake: one change, one line.
func TestNamesEachMistake(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{"  serviceName: cache", "  serviceName: cache\n  servicName: cache", `unknown field "spec.servicName"`},
		{"maxUnavailable: 1,", "maxUnavailable: 1, maxUnavailable: 2,", "already set"},
		{"port: 11211, targetPort", "port: eleven, targetPort", "document 2 (ringcached/templates/service.yaml)"},
		{"kind: NetworkPolicy", "kind: NetworkPolice", "no kind"},
		{"  serviceName: cache", "  serviceName: other", "is no headless service"},
		{"  selector: {app: cache}", "  selector: {app: other}", "Service cache: it finds no pods"},
		{"targetPort: memcache", "targetPort: memcached", "leads to memcached"},
		{"targetPort: 9150", "targetPort: 9151", "leads to 9151"},
		{"metadata: {labels: {app: cache}}", "metadata: {labels: {app: other}}", "its selector does not find its pods"},
		{"path: /readyz, port: metrics", "path: /readyz, port: http", "asks port http"},
		{"requests: {memory: 100Mi}", "requests: {memory: 1Gi}", "requests 1Gi of memory and may have 100Mi"},
		{"limits: {memory: 100Mi}", "limits: {memory: plenty}", "quantities must match"},
		{"{name: tmp, emptyDir: {}}", "{name: tpm, emptyDir: {}}", "mounts tmp"},
		{"podSelector: {matchLabels: {app: cache}}", "podSelector: {matchLabels: {app: other}}", "NetworkPolicy cache: it finds no pods"},
		{"maxUnavailable: 1, selector: {matchLabels: {app: cache}}", "maxUnavailable: 1", "PodDisruptionBudget cache: it finds no pods"},
		{"{matchLabels: {part: pods}}", "{matchLabels: {part: other}}", "it finds 0 services"},
		{"endpoints: [{port: metrics}]", "endpoints: [{port: http}]", "has no port http"},
		{"kind: PodDisruptionBudget\nmetadata: {name: cache,", "kind: PodDisruptionBudget\nmetadata: {name: '',", "it has no name"},
		{"kind: PodDisruptionBudget\nmetadata: {name: cache,", "kind: PodDisruptionBudget\nmetadata: {name: Cache,", "PodDisruptionBudget Cache: a lowercase RFC 1123"},
		{"metadata: {labels: {app: cache}}", "metadata: {labels: {app: cache, chart: a+b}}", "spec.template.metadata.labels"},
		{"metadata: {labels: {app: cache}}", "metadata: {labels: {app: cache}, annotations: {a b: c}}", "spec.template.metadata.annotations"},
		{"labels: {part: pods}", "labels: {part: pods, version: -1-}", "Service cache: metadata.labels"},
		{"kind: StatefulSet\nmetadata:\n  name: cache", "kind: StatefulSet\nmetadata:\n  name: a23456789012345678901234567890123456789012345678901234", "no more than 52"},
		{"kind: Service\nmetadata:\n  name: cache", "kind: Service\nmetadata:\n  name: 1cache", "Service 1cache: a DNS-1035 label"},
	} {
		if strings.Count(whole, test.old) != 1 {
			t.Fatalf("%q is there %d times", test.old, strings.Count(whole, test.old))
		}
		err := check(strings.Replace(whole, test.old, test.new, 1))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.new, err, test.want)
		}
	}
}

func TestAnObjectIsThereOnce(t *testing.T) {
	account := "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: cache, namespace: here}\n"
	if err := check(whole + account); err != nil {
		t.Error(err)
	}
	if err := check(whole + account + account); err == nil || !strings.Contains(err.Error(), "ServiceAccount cache: it is there twice") {
		t.Errorf("%v", err)
	}
}
