package deploy

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// kubernetes is the version that tools/deploy/go.mod has the API of. Helm knows none unless its releases' linker flags tell it.
const kubernetes = "1.37.0"

// render is what helm makes of the chart with these options.
func render(t *testing.T, options ...string) (objects, stderr string, err error) {
	t.Helper()
	return tool(t, "", "helm", append([]string{"template", "r1", chartDir, "--namespace", "here", "--kube-version", kubernetes}, options...)...)
}

// rendered are objects that chartcheck finds no mistake in.
func rendered(t *testing.T, options ...string) string {
	t.Helper()
	objects, stderr, err := render(t, options...)
	if err != nil {
		t.Fatalf("helm template: %v: %s", err, stderr)
	}
	if _, stderr, err := tool(t, objects, "chartcheck"); err != nil {
		t.Errorf("chartcheck: %v: %s", err, stderr)
	}
	return objects
}

// values are the options for a file in testdata.
func values(name string) []string {
	return []string{"--values", "testdata/" + name}
}

func TestChartPassesLint(t *testing.T) {
	needPackages(t)
	for _, options := range [][]string{nil, values("everything.yaml"), values("bitnami.yaml")} {
		if stdout, stderr, err := tool(t, "", "helm", append([]string{"lint", "--strict", chartDir, "--kube-version", kubernetes}, options...)...); err != nil {
			t.Errorf("%v: %v: %s%s", options, err, stdout, stderr)
		}
	}
}

// emptied are values that a file may have a name of and nothing else, as where all below it is a comment: Helm takes the chart's own away then.
var emptied = []string{
	"global.imagePullSecrets", "image.pullSecrets", "commonLabels", "commonAnnotations", "podLabels", "podAnnotations", "serviceAccount.annotations", "service.annotations",
	"service.headless.annotations", "nodeSelector", "tolerations", "affinity", "extraArgs", "extraEnvVars", "extraDeploy", "extraVolumes", "resources",
	"terminationGracePeriodSeconds", "networkPolicy.metricsFrom",
}

// TestChartRenders: every object has the fields of its kind, and what objects say of each other holds.
func TestChartRenders(t *testing.T) {
	needPackages(t)
	for _, test := range []struct {
		options []string
		want    []string // in the objects
		without []string // not in them
	}{
		{nil,
			[]string{"kind: StatefulSet", "kind: PodDisruptionBudget", "kind: NetworkPolicy", "path: /readyz", "path: /livez", "type: RuntimeDefault", "runAsUser: 11211"},
			[]string{"kind: Secret", "kind: ServiceMonitor", "volumeClaimTemplates"}},
		{values("everything.yaml"),
			[]string{"kind: Secret", "kind: ServiceMonitor", "volumeClaimTemplates", "localhostProfile: profiles/ringcached.json", "registry.example/ringcached@sha256:0", "cache-client: \"true\"", "kind: ConfigMap", "- --auth-file=/etc/ringcached/users", "- --memory-file=/cache-state/memory_file", "- \"-c\"\n            - \"1000000\"\n            - \"-f\"\n            - \"1.5\"\n"},
			nil},
		{values("bitnami.yaml"), []string{"name: memcached\n", "image: registry.example/ringcached:0.1.0", "memory: 1024Mi"}, []string{"memory: 130Mi"}},
		{[]string{"--set", "metrics.enabled=false"}, []string{"tcpSocket:"}, []string{"httpGet", "--metrics", "9150"}},
		{[]string{"--set", "networkPolicy.enabled=false,pdb.create=false,serviceAccount.create=false"}, []string{"serviceAccountName: default"}, []string{"kind: NetworkPolicy", "kind: PodDisruptionBudget", "kind: ServiceAccount"}},
		{[]string{"--set", "auth.enabled=true,auth.existingUsersSecret=mine"}, []string{"secretName: mine"}, []string{"kind: Secret"}},
		{[]string{"--set", "tls.enabled=true,tls.existingSecret=mine"},
			[]string{"- --enable-ssl\n", "- --extended=ssl_chain_cert=/etc/ringcached-tls/tls.crt,ssl_key=/etc/ringcached-tls/tls.key,ssl_min_version=2\n", "mountPath: /etc/ringcached-tls\n              readOnly: true\n", "defaultMode: 0440\n", "name: mine\n", "path: /readyz"},
			[]string{"ca.crt", "ssl_verify_mode", "--listen", "memcache-plain", "kind: Secret\n"}},
		{[]string{"--set", "tls.enabled=true,tls.existingSecret=mine,tls.verifyMode=2,tls.minVersion=1.3,podSecurityContext.enabled=false,metrics.enabled=false"},
			[]string{",ssl_min_version=3,ssl_verify_mode=2,ssl_ca_cert=/etc/ringcached-tls/ca.crt\n", "- secret:\n                  name: mine\n                  items:\n                    - key: ca.crt\n", "defaultMode: 0444\n", "tcpSocket:\n              port: memcache\n"}, nil},
		{[]string{"--set", "tls.enabled=true,tls.existingSecret=mine,tls.verifyMode=1,tls.existingCASecret=others,tls.plainPort=11311,metrics.enabled=false"},
			[]string{"ssl_verify_mode=1,", "name: others\n                  items:\n                    - key: ca.crt\n", "- --listen=*:11211,notls:*:11311\n", "containerPort: 11311\n", "port: 11311\n      targetPort: memcache-plain\n",
				"- port: 11211\n        - port: 11311\n", "tcpSocket:\n              port: memcache-plain\n"}, []string{"tcpSocket:\n              port: memcache\n"}},
		{[]string{"--set", "tls.existingSecret=mine,tls.verifyMode=2,tls.plainPort=11311"}, nil, []string{"mine", "ssl", "11311"}}, // it is not enabled
		{[]string{"--set", "serviceAccount.create=false,serviceAccount.name=mine"}, []string{"serviceAccountName: mine"}, []string{"kind: ServiceAccount"}},
		{[]string{"--set", "service.ipFamilyPolicy=RequireDualStack,service.ipFamilies={IPv6,IPv4}"}, []string{"ipFamilyPolicy: RequireDualStack\n  ipFamilies:\n    - IPv6\n    - IPv4\n"}, nil},
		{[]string{"--set", "drain.delaySeconds=15,drain.timeoutSeconds=20"}, []string{"- --drain-delay=15s\n", "- --drain-timeout=20s\n", "terminationGracePeriodSeconds: 45\n"}, []string{"lifecycle:"}},
		{[]string{"--set", "enabled=true,replicaCount=0"}, []string{"replicas: 0\n"}, nil}, // as a dependency of another chart
		{[]string{"--set", "fullnameOverride=a-name-that-is-longer-than-kubernetes-takes-it-for-a-set-of-pods,nameOverride=another-name-that-is-longer-than-the-label-of-an-object-may-be-at-all"}, nil, nil},
		{[]string{"--kube-version", "1.25.0"}, []string{"kind: StatefulSet"}, nil},
		{[]string{"--set", "pdb.minAvailable=2"}, []string{"minAvailable: 2"}, []string{"maxUnavailable"}},
		{[]string{"--set", strings.Join(emptied, "=null,") + "=null"}, []string{"terminationGracePeriodSeconds: 20\n", "memory: 130Mi"}, []string{"imagePullSecrets", "annotations"}},
		{[]string{"--set", "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring"},
			[]string{"- port: 9150\n      from:\n        - namespaceSelector:\n            matchLabels:\n              name: monitoring\n"}, nil},
		{[]string{"--set", "cache.memoryLimit=2000000,cache.connectionLimit=1000000"}, []string{"- --memory-limit=2000000\n", "- --conn-limit=1000000\n"}, nil},
	} {
		objects := rendered(t, test.options...)
		for _, want := range test.want {
			if !strings.Contains(objects, want) {
				t.Errorf("%v: no %q in\n%s", test.options, want, objects)
			}
		}
		for _, without := range test.without {
			if strings.Contains(objects, without) {
				t.Errorf("%v: %q in\n%s", test.options, without, objects)
			}
		}
	}
}

// switches turn parts of the chart on and off.
var switches = []string{"auth.enabled", "tls.enabled", "persistence.enabled", "metrics.enabled", "metrics.serviceMonitor.enabled", "networkPolicy.enabled"}

// TestChartCombines: what one part of the chart refers to is there whatever other parts are.
func TestChartCombines(t *testing.T) {
	for on := range 1 << len(switches) {
		set := []string{"auth.username=u", "auth.password=p", "tls.existingSecret=s", "tls.plainPort=11311"}
		for i, name := range switches {
			set = append(set, fmt.Sprintf("%s=%t", name, on>>i&1 == 1))
		}
		t.Run(strings.Join(set, ","), func(t *testing.T) { rendered(t, "--set", strings.Join(set, ",")) })
	}
}

// TestChartRefuses: values that are none, and values that contradict each other.
func TestChartRefuses(t *testing.T) {
	needPackages(t)
	for set, want := range map[string]string{
		"architecture=high-availability":   "architecture",
		"cache.memoryLimit=lots":           "memoryLimit",
		"cache.memory=64":                  "memory",
		"cache.engine=kqueue":              "engine",
		"drain.delaySeconds=-1":            "delaySeconds",
		"terminationGracePeriodSeconds=10": "draining can take 10 seconds",
		"auth.enabled=true":                "auth.username is needed",
		"auth.username=a:b":                "username",
		"tls.enabled=true":                 "tls.existingSecret is needed",
		"tls.verifyMode=4":                 "verifyMode",
		"tls.minVersion=1.1":               "minVersion",
		"tls.secretName=x":                 "secretName",
		"tls.enabled=true,tls.existingSecret=s,tls.plainPort=11211":      "containerPorts.memcached or service.ports.memcached has",
		"tls.enabled=true,tls.existingSecret=s,tls.plainPort=9150":       "metrics.containerPorts.metrics has",
		"seccompProfile.type=Localhost,seccompProfile.localhostProfile=": "localhostProfile is needed",
		"seccompProfile.localhostProfile=/etc/x.json":                    "localhostProfile",
		"podManagementPolicy=Any":                                        "podManagementPolicy",
		"service.ipFamilies={IPv5}":                                      "ipFamilies",
		"cache.memoryLimit=null":                                         "missing property 'memoryLimit'",
		"seccompProfile.type=null":                                       "missing property 'type'",
		"metrics=null":                                                   "missing property 'metrics'",
	} {
		if _, stderr, err := render(t, "--set", set); err == nil || !strings.Contains(stderr, want) {
			t.Errorf("%s: %v, %q, want %q", set, err, stderr, want)
		}
	}
}

// flag is an argument of the server's in a rendered container.
var flag = regexp.MustCompile(`(?m)^ +- "?(--?[a-z][^"\n]*)"?$`)

// flagsOf are the server's arguments.
func flagsOf(t *testing.T, objects string) (flags []string) {
	t.Helper()
	_, rest, _ := strings.Cut(objects, "\n          args:\n")
	args, _, _ := strings.Cut(rest, "\n          ports:\n")
	args, _, _ = strings.Cut(args, "\n          env:\n")
	for _, found := range flag.FindAllStringSubmatch(args, -1) {
		flags = append(flags, found[1])
	}
	if len(flags) < 5 {
		t.Fatalf("flags %q in %q", flags, args)
	}
	return flags
}

// limited is the limit of a container's memory, in mebibytes.
var limited = regexp.MustCompile(`\n +limits:\n +memory: (\d+)Mi\n`)

// needs is what check says of memory, in megabytes: items, buffers, clients, index, sockets.
var needs = regexp.MustCompile(`takes (\d+) megabytes for items \(-m\), (\d+) for buffers and the process, up to (\d+) for clients.*, up to (\d+) for the index.*, up to (\d+) of the kernel's`)

// needsOf are the parts that a server with these flags needs, by its own word.
func needsOf(t *testing.T, flags ...string) (items, process, clients, index, sockets int) {
	t.Helper()
	if !slices.Contains(flags, "-u 11211") {
		flags = append(flags, "-u", "nobody")
	}
	out, err := exec.Command(servertest.Binary(), append([]string{"check"}, flags...)...).CombinedOutput()
	said := needs.FindStringSubmatch(string(out))
	if err != nil || said == nil {
		t.Fatalf("%v: %s", err, out)
	}
	return number(t, said[1]), number(t, said[2]), number(t, said[3]), number(t, said[4]), number(t, said[5])
}

// TestChartReservesWhatTheServerTakes: the server itself, with the flags that the chart gives, says what it takes, with the smallest items.
func TestChartReservesWhatTheServerTakes(t *testing.T) {
	needPackages(t)
	certificate := servertest.NewCertificate(t, "pod")
	for _, set := range []string{
		"cache.memoryLimit=64", "cache.memoryLimit=1024,cache.connectionLimit=16384", "cache.memoryLimit=8192,cache.connectionLimit=4096,cache.threads=16",
		"cache.memoryLimit=512,cache.clientMemory=100", "cache.memoryLimit=100000,cache.averageItemSize=1000", "cache.memoryLimit=9,cache.connectionLimit=1",
		"tls.enabled=true,tls.existingSecret=s", "tls.enabled=true,tls.existingSecret=s,tls.plainPort=11311,cache.connectionLimit=16384,cache.memoryLimit=1024", "tls.enabled=true,tls.existingSecret=s,cache.connectionLimit=100",
	} {
		objects := rendered(t, "--set", set)
		found := limited.FindStringSubmatch(objects)
		if found == nil {
			t.Fatalf("%s: no limit in\n%s", set, objects)
		}
		items, process, clients, index, sockets := needsOf(t, append(withFilesOf(certificate, flagsOf(t, objects)), "--engine=epoll")...)
		if strings.Contains(set, "averageItemSize=1000") {
			index = items * 85 / 10000
		}
		taken := items + process + clients + sockets + index
		if reserved := number(t, found[1]); reserved < taken || reserved > taken+4+items/200 { // each part is rounded
			t.Errorf("%s: %d Mi are reserved; items take %d, buffers %d, clients %d, sockets %d, the index %d", set, reserved, items, process, clients, sockets, index)
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestChartIsOfThisVersion: a chart without a tag takes the image of the server that it was released with.
func TestChartIsOfThisVersion(t *testing.T) {
	out, err := exec.Command(servertest.Binary(), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^appVersion: "(.*)"$`).FindStringSubmatch(read(t, chartDir+"/Chart.yaml"))
	if found == nil || !slices.Contains(strings.Fields(string(out)), found[1]) {
		t.Errorf("the chart is of %q, the server %q", found, out)
	}
}

// TestSchemaKnowsEveryValue: what values.yaml offers the schema allows, so that nobody is told that a documented value does not exist. Values that
// the schema does not know are refused, which TestChartRefuses tries.
func TestSchemaKnowsEveryValue(t *testing.T) {
	schema := read(t, chartDir+"/values.schema.json")
	names := regexp.MustCompile(`(?m)^ *([a-zA-Z]+):`).FindAllStringSubmatch(read(t, chartDir+"/values.yaml"), -1)
	if len(names) < 100 {
		t.Fatalf("%d values", len(names))
	}
	free := []string{"fsGroup", "runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "capabilities", "drop"} // of a pod's security
	for _, name := range names {
		if !slices.Contains(free, name[1]) && !strings.Contains(schema, `"`+name[1]+`": {`) {
			t.Errorf("the schema has no %s", name[1])
		}
	}
}
