package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ringcached/batch/ktls"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

func TestProbeCommand(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{appName, "probe"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit code %d, stderr %q", code, stderr.String())
	}
	said := stdout.String()
	for _, want := range []string{"kernel ", "io_uring ", "\nkernel TLS (-o ssl_kernel_tls): ", "--engine auto takes "} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}

func TestProbeTakesURing(t *testing.T) {
	servertest.NeedURing(t)
	var stdout, stderr bytes.Buffer
	run([]string{appName, "probe"}, &stdout, &stderr)
	for _, want := range []string{"io_uring  usable\n", "\nFEATURE ", "--engine auto takes uring: "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
}

func TestKernelTLSWords(t *testing.T) {
	for _, test := range []struct {
		rekey bool
		err   error
		want  string
	}{
		{true, nil, "usable"},
		{false, nil, "usable for TLS 1.2: this kernel can't replace the keys of TLS 1.3"},
		{false, errors.New("no module"), "not usable: no module"},
	} {
		if got := kernelTLSWords(ktls.Support{Rekey: test.rekey}, test.err); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

func TestWriteFeatures(t *testing.T) {
	var out bytes.Buffer
	err := writeFeatures(&out, []ring.Result{
		{Name: "here", Since: "6.0", Without: "slower"},
		{Name: "not-here", Since: "6.12", Without: "slower still", Err: fmt.Errorf("%w (requires >= 6.12)", ring.ErrNotSupported)},
		{Name: "unclear", Since: "6.1", Without: "nothing", Err: errors.New("too busy")},
	})
	want := `
FEATURE   SINCE  HERE                              WITHOUT IT
here      6.0    ok                                slower
not-here  6.12   not supported (requires >= 6.12)  slower still
unclear   6.1    inconclusive (too busy)           nothing
`
	if err != nil || out.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
	}
}
