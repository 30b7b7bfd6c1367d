package ring

import (
	"errors"
	"fmt"
	"strings"
)

// Feature is one optional ability of the kernel's io_uring, or several of them.
type Feature uint32

// Features in the order of the kernels that added them. Any kernel that is served has the first, but a filter may refuse it.
const (
	Restrictions  Feature = 1 << iota // a ring may only do what it is for
	MultishotRecv                     // one recv serves a connection until it ends
	SingleIssuer                      // the kernel knows that one thread submits
	DeferTaskrun                      // completions are made only while the ring is entered
	PartialSend                       // a failed send tells how much it sent, so successes need no completion
	SendmsgZC                         // sending without copying
	NoSQArray                         // no indirection array before the submission entries
	FixedInstall                      // a direct descriptor can be made an ordinary one
	BusyPolling                       // a wait asks the network devices itself
	MinTimeout                        // wait for several completions, but only shortly
	DirectRelease                     // closing a direct descriptor frees its socket at once
	NoIOWait                          // a thread that waits for completions is idle, not waiting for a disk
)

// ErrNotSupported is what an unsupported Feature's error unwraps to.
var ErrNotSupported = errors.New("not supported")

// featureInfo names the features for users, in the order of their bits.
var featureInfo = []struct {
	feature Feature
	name    string
	since   string
	without string
}{
	{Restrictions, "restrictions", "5.10", "rings may do everything, such as open files"},
	{MultishotRecv, "multishot-recv", "6.0", "one-shot receives, armed again each time"},
	{SingleIssuer, "single-issuer", "6.0", "cooperative task running only"},
	{DeferTaskrun, "defer-taskrun", "6.1", "completions may be posted between enters"},
	{PartialSend, "partial-send", "6.1", "a completion for every send"},
	{SendmsgZC, "sendmsg-zc", "6.1", "copying sends"},
	{NoSQArray, "no-sqarray", "6.6", "identity array"},
	{FixedInstall, "fixed-install", "6.8", "replies may be lost where the server ends a direct descriptor"},
	{BusyPolling, "busy-polling", "6.9", "interrupts only"},
	{MinTimeout, "min-timeout", "6.12", "plain time limit"},
	{DirectRelease, "direct-release", "6.13", "ordinary descriptors"},
	{NoIOWait, "no-iowait", "6.15", "waiting threads count as I/O wait"},
}

// Result says what a probe found out about one feature. Err is nil when the kernel
// has it, wraps ErrNotSupported when it has not, and is any other error when the
// probe could not tell; the feature is then not used.
type Result struct {
	Feature Feature
	Name    string
	Since   string // first kernel release with it
	Without string // what is done instead
	Err     error
}

// Features is a set of Feature that Probe found, or that a user allowed. The zero
// value stands for "not probed".
type Features struct {
	known   bool
	set     Feature
	results []Result

	operations []Operation
}

// Has reports whether all features of f are in the set.
func (fs Features) Has(f Feature) bool { return fs.set&f == f }

// Results returns what the probe found, one for each feature.
func (fs Features) Results() []Result { return fs.results }

// WhyNot returns why the probe did not find the feature; nil: it did, or was not made.
func (fs Features) WhyNot(f Feature) error {
	for _, r := range fs.results {
		if r.Feature == f {
			return r.Err
		}
	}
	return nil
}

// Only returns fs without what is not in the allowed features.
func (fs Features) Only(allowed Feature) Features {
	fs.set &= allowed
	return fs
}

// String lists the names of the features in the set, separated by commas.
func (fs Features) String() string {
	var names []string
	for _, in := range featureInfo {
		if fs.Has(in.feature) {
			names = append(names, in.name)
		}
	}
	return strings.Join(names, ",")
}

// ParseFeatures reads a selection of features: "all", "none", a kernel release
// such as "6.0" for what that release has, or names; several of them separated by commas. What has a minus before it is left out, of
// all if nothing else is named.
func ParseFeatures(s string) (Feature, error) {
	var all Feature
	byName := map[string]Feature{"none": 0, "5.19": Restrictions}
	for _, in := range featureInfo {
		all |= in.feature
		byName[in.name] = in.feature
		byName[in.since] = all
	}
	byName["all"] = all
	var set, out Feature
	leavesOut := true // and nothing else
	for _, name := range strings.Split(s, ",") {
		plain, without := strings.CutPrefix(strings.TrimSpace(name), "-")
		f, ok := byName[plain]
		switch {
		case !ok:
			return 0, fmt.Errorf("unknown ring feature %q", name)
		case without:
			out |= f
		default:
			set |= f
			leavesOut = false
		}
	}
	if leavesOut {
		set = all
	}
	return set &^ out, nil
}

// FeatureNames are the names that ParseFeatures reads, beside all, none and releases.
func FeatureNames() (names []string) {
	for _, in := range featureInfo {
		names = append(names, in.name)
	}
	return names
}
