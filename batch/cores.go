package batch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// usableCores lists the cores that the calling thread may use.
func usableCores() (cores []int, err error) {
	var usable unix.CPUSet
	if err := unix.SchedGetaffinity(0, &usable); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	for core, left := 0, usable.Count(); left > 0; core++ {
		if usable.IsSet(core) {
			cores = append(cores, core)
			left--
		}
	}
	return cores, nil
}

// pin binds the calling thread to the channel's core, if Config.Affinity says so.
func (ch *channel) pin() error {
	if !ch.config.Affinity {
		return nil
	}
	return pin(ch.id)
}

// pin binds the calling thread to the n-th core that it may use, round and round.
func pin(n int) error {
	cores, err := usableCores()
	if err != nil {
		return err
	}
	var one unix.CPUSet
	one.Set(cores[n%len(cores)])
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pinning a channel: %w", os.NewSyscallError("sched_setaffinity", err))
	}
	return nil
}
