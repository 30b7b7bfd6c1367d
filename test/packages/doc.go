// Package packages has no code but tests: of the packages that `make packages` builds. They are built twice and compared, installed into a
// minimal Debian, started there as systemd would start them, upgraded with their items, put in memcached's place, removed and purged. They take
// minutes, root, the network, and what `scripts/install-test-deps packages` installs: `make test-packages` runs them, and `make test` does not.
package packages
