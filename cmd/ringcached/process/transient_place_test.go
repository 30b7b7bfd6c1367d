package process

import (
	"strings"
	"testing"
)

// TestTransientPlace: where the items of a service do not outlive it. test/systemd looks at the same under systemd.
func TestTransientPlace(t *testing.T) {
	const mounts = `22 1 254:0 / / rw - ext4 /dev/vda rw
23 22 0:22 / /dev/shm rw - tmpfs tmpfs rw
24 22 0:23 / /tmp rw - tmpfs tmpfs rw
25 24 0:23 /systemd-private-55-ringcached.service-xyz/tmp /tmp rw - tmpfs tmpfs rw
26 22 254:0 /var/tmp/systemd-private-55-ringcached.service-xyz/tmp /var/tmp rw - ext4 /dev/vda rw
`
	for _, test := range []struct {
		place filePlace
		level int
		want  string // "": nothing is known
	}{
		{filePlace{dir: "/dev/shm", user: 61184, service: true}, 0, "DynamicUser="},
		{filePlace{dir: "/dev/shm/sub", user: 65519, service: true}, 0, "DynamicUser="},
		{filePlace{dir: "/dev/shm", user: 65520, service: true}, 0, ""},
		{filePlace{dir: "/dev/shm", user: 65534, service: true}, 0, ""},
		{filePlace{dir: "/dev/shm", user: 999, service: true}, 0, ""},
		{filePlace{dir: "/dev/shm", user: 61184}, 0, ""},
		{filePlace{dir: "/dev/shmother", user: 61184, service: true}, 0, ""},
		{filePlace{dir: "/tmp", user: 999, service: true}, 0, "PrivateTmp="},
		{filePlace{dir: "/var/tmp/sub", user: 999}, 0, "PrivateTmp="},
		{filePlace{dir: "/var/tmpother", user: 999}, 0, ""},
		{filePlace{dir: "/var/lib", user: 61184, service: true}, 0, ""},
		{filePlace{dir: "/run/no/such", service: true, runtime: "/run/other:/run/no"}, 1, "RuntimeDirectoryPreserve="},
		{filePlace{dir: "/run/no/such", service: true, runtime: "/run/other"}, 0, ""},
		{filePlace{dir: "/run/no/such", service: true}, 0, ""},
	} {
		test.place.mounts = mounts
		level, why := test.place.transient()
		if level != test.level || !strings.Contains(why, test.want) || (why == "") != (test.want == "") {
			t.Errorf("%+v: %d, %q, want %d, %q", test.place, level, why, test.level, test.want)
		}
	}
}
