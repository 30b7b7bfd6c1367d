package process

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"unsafe"
)

// Identity is whom the server becomes once its sockets are bound.
type Identity struct {
	name     string
	uid, gid int
	Change   bool // false: stay as started
}

var errRootNeedsUser = errors.New("can't run as root without the -u switch")

// FindIdentity finds the user of -u, a name or a number. As with memcached root must name one, which may be root itself, and for
// anybody else the flag has no effect.
func FindIdentity(name string) (Identity, error) {
	if os.Getuid() != 0 && os.Geteuid() != 0 {
		return Identity{}, nil
	}
	if name == "" {
		return Identity{}, errRootNeedsUser
	}
	uid, gid, err := lookUpUser(name)
	return Identity{name: name, uid: uid, gid: gid, Change: true}, err
}

// lookUpUser finds the ids. An empty container knows no names: there root is root all the same, and a number, as Kubernetes' runAsUser has
// it, is the group's as well.
func lookUpUser(name string) (uid, gid int, err error) {
	account, err := user.Lookup(name)
	if err == nil {
		return idsOf(account)
	}
	if name == "root" {
		return 0, 0, nil
	}
	number, notNumber := strconv.ParseUint(name, 10, 32)
	if notNumber != nil || number == 1<<32-1 { // which means no user to the kernel
		return 0, 0, fmt.Errorf("can't find the user %s to switch to: %w (a number works without a name, as in -u 65534)", name, err)
	}
	if account, err := user.LookupId(name); err == nil {
		return idsOf(account)
	}
	return int(number), int(number), nil
}

func idsOf(account *user.User) (uid, gid int, err error) {
	if uid, err = strconv.Atoi(account.Uid); err == nil {
		gid, err = strconv.Atoi(account.Gid)
	}
	if err != nil {
		err = fmt.Errorf("user %s has an id that is not a number: %w", account.Username, err)
	}
	return uid, gid, err
}

// Become gives up the rights of root for good, in every thread of the process: supplementary groups first, then the group, then the user,
// since each step takes away the right to do the one before. Groups that may not be dropped are kept, as memcached decided: containers run
// like that, and the user is another all the same.
func (id Identity) Become(log LogFunc) error {
	if !id.Change {
		return nil
	}
	switch err := syscall.Setgroups([]int{id.gid}); {
	case errors.Is(err, syscall.EPERM):
		groups, _ := syscall.Getgroups()
		log(0, "warning: can't drop supplementary groups, keeping %v: setgroups: %v (CAP_SETGID)", groups, err)
	case err != nil:
		return id.refused("setgroups", err)
	}
	if err := syscall.Setgid(id.gid); err != nil {
		return id.refused("setgid", err)
	}
	if err := syscall.Setuid(id.uid); err != nil {
		return id.refused("setuid", err)
	}
	return nil
}

// Own makes the user, if the process is still to become it, the owner of a file. If whoever may write to the folder has put a link in its place, only
// the link is the user's: root gives nobody a file of another folder.
func (id Identity) Own(path string) error {
	if !id.Change {
		return nil
	}
	return os.Lchown(path, id.uid, id.gid)
}

// BecomeOnThread makes the calling thread alone what Become makes the process, to see what that user may do. The thread
// has to end afterwards.
func (id Identity) BecomeOnThread() error {
	if !id.Change {
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
			return id.refused(call.name, errno)
		}
	}
	return nil
}

// refused is an error that says what mends it.
func (id Identity) refused(call string, err error) error {
	remedy := "start the server as this user, then -u needs no rights"
	switch {
	case errors.Is(err, syscall.EPERM):
		remedy = "it takes CAP_SETUID and CAP_SETGID; or " + remedy
	case errors.Is(err, syscall.EINVAL):
		remedy = "the user namespace has no such id; " + remedy
	}
	return fmt.Errorf("can't become user %s: %s: %w (%s)", id.name, call, err, remedy)
}
