package batch

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// canSteer reports why channels can't be steered to by core.
func (c *Config) canSteer() error {
	if !c.Affinity {
		return errors.New("steering by core needs channels that are pinned to cores")
	}
	cores, err := usableCores()
	if err == nil && c.threads() > len(cores) {
		err = fmt.Errorf("steering by core: %d threads are more than the %d usable cores", c.threads(), len(cores))
	}
	return err
}

// group is the sockets of one address among which the kernel chooses (SO_REUSEPORT), in the kernel's order: that in which they were listened
// on, or, for UDP, bound. That is the order of their indices as long as none is closed.
func group(ls []listener, addr netip.AddrPort) (same []listener) {
	for _, l := range ls {
		if l.addr == addr && !l.shared {
			same = append(same, l)
		}
	}
	slices.SortStableFunc(same, byIndex)
	return same
}

func byIndex(a, b listener) int { return a.index - b.index }

// groups calls f for every address with all its sockets.
func (s *Server) groups(f func(same []listener) error) (err error) {
	var streams, dgrams []listener
	for _, ch := range s.channels {
		streams = append(streams, ch.listeners...)
		dgrams = append(dgrams, ch.datagrams...)
	}
	for _, all := range [][]listener{streams, dgrams} {
		for _, addr := range addresses(all) {
			if addr.IsValid() { // else it is a unix socket
				err = errors.Join(err, f(group(all, addr)))
			}
		}
	}
	return err
}

// steer makes the kernel choose by core (Config.Steer), or by hash again where the last owner of the sockets did otherwise. The program is
// the sockets' and stays as long as any of them.
func (s *Server) steer() error {
	if !s.config.Steer {
		if s.config.Inherited == nil {
			return nil
		}
		return s.groups(func(same []listener) error {
			_ = unix.SetsockoptInt(same[0].fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0) // an error says that it is so
			return nil
		})
	}
	cores, err := usableCores()
	if err != nil {
		return err
	}
	return s.groups(func(same []listener) error {
		if len(same) == 1 {
			return nil
		}
		program := steering(cores[:min(len(cores), len(s.channels))], len(same))
		if err := unix.SetsockoptSockFprog(same[0].fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{
			Len: uint16(len(program)), Filter: &program[0],
		}); err != nil {
			return fmt.Errorf("steering by core on %v: setsockopt SO_ATTACH_REUSEPORT_CBPF: %w", same[0].addr, err)
		}
		return nil
	})
}

// SKF_AD_OFF + SKF_AD_CPU of include/uapi/linux/filter.h: where a program finds the core that runs it.
const skfADCPU uint32 = 1<<32 - 0x1000 + 36

// steering is a program for the socket filter machine that returns the index of the socket to be chosen: that of the channel which is pinned
// to the core on which the packet is handled. Other cores have theirs by their number. Channel i, on cores[i], has socket i, or where there
// are fewer of them, i modulo their number.
func steering(cores []int, sockets int) []unix.SockFilter {
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: skfADCPU}}
	for i, core := range cores {
		if i%sockets == core%sockets {
			continue // as below
		}
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(core)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(i % sockets)},
		)
	}
	return append(program,
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(sockets)},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_A},
	)
}
