// Package systemd has no code but tests: the units of packaging/systemd under a real systemd, which is process 1 of namespaces of its own, with a
// network, a root directory and control groups that the host does not see. Nothing of the host is changed, and all of it is gone with that
// process. It takes root, and a kernel that lets root make namespaces and mount: in a container that may not, the tests say so and are skipped.
package systemd
