package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"unsafe"
)

// identity is whom the server becomes once its sockets are bound.
type identity struct {
	name     string
	uid, gid int
	change   bool // false: stay as started
}

var errRootNeedsUser = errors.New("can't run as root without the -u switch")

// findIdentity looks up the user of -u. As with memcached root must name one,
// which may be root itself, and for anybody else the flag has no effect.
func findIdentity(name string) (identity, error) {
	if os.Getuid() != 0 && os.Geteuid() != 0 {
		return identity{}, nil
	}
	if name == "" {
		return identity{}, errRootNeedsUser
	}
	account, err := user.Lookup(name)
	if err != nil {
		return identity{}, fmt.Errorf("can't find the user %s to switch to", name)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return identity{}, fmt.Errorf("user %s has the id %q, which is not a number", name, account.Uid)
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return identity{}, fmt.Errorf("user %s has the group %q, which is not a number", name, account.Gid)
	}
	return identity{name: name, uid: uid, gid: gid, change: true}, nil
}

// assume gives up the rights of root for good, in every thread of the process:
// supplementary groups first, then the group, then the user, since each step
// takes away the right to do the one before.
func (id identity) assume() error {
	if !id.change {
		return nil
	}
	if err := syscall.Setgroups([]int{id.gid}); err != nil {
		return fmt.Errorf("can't become user %s: setgroups: %w", id.name, err)
	}
	if err := syscall.Setgid(id.gid); err != nil {
		return fmt.Errorf("can't become user %s: setgid: %w", id.name, err)
	}
	if err := syscall.Setuid(id.uid); err != nil {
		return fmt.Errorf("can't become user %s: setuid: %w", id.name, err)
	}
	return nil
}

// assumeOnThread makes the calling thread alone what assume makes the process, to see what that user may do. The thread
// has to end afterwards.
func (id identity) assumeOnThread() error {
	if !id.change {
		return nil
	}
	group := uint32(id.gid)
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&group)), 0) // not everybody may
	for _, call := range []struct {
		name   string
		number uintptr
		id     int
	}{{"setresgid", syscall.SYS_SETRESGID, id.gid}, {"setresuid", syscall.SYS_SETRESUID, id.uid}} {
		if _, _, errno := syscall.RawSyscall(call.number, uintptr(call.id), uintptr(call.id), uintptr(call.id)); errno != 0 {
			return fmt.Errorf("can't become user %s: %s: %w", id.name, call.name, errno)
		}
	}
	return nil
}
