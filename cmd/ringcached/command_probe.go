package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
	"ringcached/batch/ktls"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
	"ringcached/ring"
)

func newProbeCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name:         "probe",
		Usage:        "print what this kernel's io_uring offers and which engine auto takes",
		OnUsageError: usageError,

		CustomHelpTemplate: commandHelpTemplate,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("probe takes no arguments, got %q", c.Args().First())
			}
			return probe(stdout)
		},
	}
}

// probe prints a table of features. A kernel without a usable io_uring is an
// answer, not an error: the table is then a sentence.
func probe(w io.Writer) error {
	fmt.Fprintf(w, "kernel    %s\n", kernelRelease())
	process.RaiseLockLimit() // as the server does
	features, err := ring.Probe()
	if err != nil {
		fmt.Fprintf(w, "io_uring  not usable: %v\n", err)
	} else {
		fmt.Fprintf(w, "io_uring  usable\n")
	}
	if err := errors.Join(writeFeatures(w, features.Results()), writeOperations(w, features.Operations())); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nkernel TLS (-o ssl_kernel_tls): %s\n", kernelTLSWords(ktls.Probe()))
	// With what the server has without flags.
	sockets := newConfig().Engine.Batch
	sockets.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), 0)}
	choice, err := batch.Try(sockets, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\n--engine auto takes %s: %s\n", choice.Engine, choice.Why)
	return err
}

func writeFeatures(w io.Writer, results []ring.Result) error {
	if len(results) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "FEATURE\tSINCE\tHERE\tWITHOUT IT")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.Name, r.Since, verdict(r.Err), r.Without)
	}
	return table.Flush()
}

func writeOperations(w io.Writer, operations []ring.Operation) error {
	if len(operations) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "OPERATION\tHERE\tWITHOUT IT")
	for _, o := range operations {
		fmt.Fprintf(table, "%s\t%s\t%s\n", o.Name, verdict(o.Err), o.Without)
	}
	return table.Flush()
}

// kernelTLSWords is what the kernel can do for -o ssl_kernel_tls.
func kernelTLSWords(support ktls.Support, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("not usable: %v", err)
	case !support.Rekey:
		return "usable for TLS 1.2: this kernel can't replace the keys of TLS 1.3"
	}
	return "usable"
}

// warnOfKernelTLS says why -o ssl_kernel_tls does not have the kernel encrypt.
func warnOfKernelTLS(c *config.Config, log process.LogFunc) {
	if !c.TLS.Enabled || !c.Extended.TLS.KernelTLS {
		return
	}
	if support, err := ktls.Probe(); err != nil || !support.Rekey {
		log(0, "warning: -o ssl_kernel_tls: kernel TLS is %s; the server encrypts the rest by itself", kernelTLSWords(support, err))
	}
}

// verdict words a probe's outcome.
func verdict(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ring.ErrNotSupported), errors.Is(err, ring.ErrDenied):
		return err.Error()
	}
	return fmt.Sprintf("inconclusive (%v)", err)
}

// kernelRelease is what uname -r prints.
func kernelRelease() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(release))
}
