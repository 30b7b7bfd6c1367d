# Everything a user or developer does here has a target: `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The server needs no C library: a static binary runs on any distribution and in an empty container. The commit is what `ringcached -V` tells.
COMMIT ?= $(firstword $(shell scripts/commit))
BUILD = CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "$(LDFLAGS) -X main.commit=$(COMMIT)"

# Where `make install` puts things, below DESTDIR. PROGRAM is one that is built already.
PREFIX = /usr/local
SYSCONFDIR = /etc
PROGRAM =

# What `make run` adds to ARGS: this host only, and as root an unprivileged user.
LISTEN = $(if $(filter -l% --listen%,$(ARGS)),,-l 127.0.0.1)
USER_FLAG = $(if $(filter 0,$(shell id -u)),-u nobody)

# The server has one module, and the tests with libraries that it does not need another.
MODULES = . test
EACH_MODULE = failed=; for module in $(MODULES); do $(1) || failed=yes; done; [ -z "$$failed" ]

# What comparisons are with. Where it cannot be had, ARGS="--memcached PATH" names a build of your own.
PEER = -@scripts/install-peer memcached-1.6.45 >/dev/null

.NOTPARALLEL:
.PHONY: help build run test test-plain test-race test-features test-kernels vet lint fmt check fuzz-short soak bench bench-store bench-limits bench-attack compare man completions statistics program install uninstall image packages test-packages clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/ringcached and bin/ringcached-bench
	$(BUILD) -o bin/ ./cmd/ringcached ./cmd/ringcached-bench

run: build ## serve on 127.0.0.1:11211; more flags: make run ARGS="-p 11311 --engine epoll"
	exec bin/ringcached $(LISTEN) $(USER_FLAG) $(ARGS)

test: build ## run every test of both modules, then again with the race detector and internal checks; installs what the tests need
	scripts/install-test-deps
	@bin/ringcached probe
	$(MAKE) --no-print-directory test-plain test-race

# Go's own limit of ten minutes for a package is too short on a machine with much else to do.
PATIENCE = -timeout 80m

# Tests wait more than they compute: one package more at a time than there are cores keeps these busy.
test-plain: ## run every test once (needs what `make test` installs)
	@$(call EACH_MODULE,go -C $$module test -count=1 -p $$(($$(nproc) + 1)) -parallel 8 $(PATIENCE) ./...)

# Tests of module test that keep servers busy. The others are about a page, a unit file, a client's output: a race would be seen by these first.
BUSY = ./robustness ./soak ./clients ./cluster

test-race: ## the same with the race detector and the checks of tag invariants, without the load generator's; of module test those that keep servers busy
	go test -count=1 -parallel 8 $(PATIENCE) -race -tags invariants $$(go list ./... | grep -v ringcached-bench)
	go -C test test -count=1 -parallel 8 $(PATIENCE) -race -tags invariants $(BUSY)

# What test-plain does in every feature set anyway, or has nothing to do with features.
IN_EVERY_SET = TestConversationsOfVariants|TestConversationsOverTLS|TestWithoutEachFeature

test-features: ## run the tests of the uring engine with the features of the oldest kernel (FEATURES="6.0 6.1": of others)
	for features in $(or $(FEATURES),5.19); do \
		echo "features of $$features"; \
		export RINGCACHED_TEST_FEATURES=$$features; \
		go test -count=1 -parallel 8 $(PATIENCE) -skip '$(IN_EVERY_SET)' ./ring ./batch ./cmd/ringcached/... || exit; \
		go -C test test -count=1 -parallel 8 $(PATIENCE) -skip '$(IN_EVERY_SET)' ./robustness ./clients || exit; \
	done

test-kernels: ## run the tests on older and newer kernels of Debian's under an emulator, for hours (PACKAGES="ring batch"); installs qemu
	scripts/test-kernels

# The tools that make images and check charts are tested by test-packages.
vet lint: MODULES += tools/deploy

vet: ## go vet, with and without the checks of tag invariants
	@$(call EACH_MODULE,go -C $$module vet ./... && go -C $$module vet -tags invariants ./...)

lint: ## run golangci-lint in the version that tools/go.mod pins (the first time builds it: some minutes)
	@$(call EACH_MODULE,(cd $$module && go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run --allow-parallel-runners ./...))

fmt: ## format all Go files
	gofmt -s -w $$(git ls-files --cached --others --exclude-standard '*.go')

check: ## what continuous integration does: formatting, vet, linter, tests
	.ci/run

fuzz-short: ## run every fuzz target for a short while (FUZZTIME=20s)
	FUZZTIME=$(or $(FUZZTIME),20s) scripts/fuzz-short

soak: ## ill-treat a server for SOAK=10m, and look for wrong bytes and leaks; SOAKFLAGS="-race -tags invariants" for its own checks
	RINGCACHED_SOAK=$(or $(SOAK),10m) nice -n 15 go -C test test -count=1 -timeout 0 -v $(SOAKFLAGS) ./soak

bench: ## run the benchmarks of all packages (BENCH=pattern)
	go test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem ./...

compare: build ## make all experiments on this machine in two minutes: report.html, report.json, bench.txt; more flags, or experiments, in ARGS
	$(PEER)
	bin/ringcached-bench compare --quick --json report.json --benchstat bench.txt --html report.html $(ARGS)

bench-store: build ## compare the store with memcached's: density, hit ratio, pauses, memory; more flags in ARGS
	$(PEER)
	bin/ringcached-bench store $(ARGS)

bench-limits: build ## compare what ringcached costs with its targets: half an hour at most, ARGS=--quick four minutes; more flags in ARGS
	$(PEER)
	bin/ringcached-bench limits $(ARGS)

bench-attack: build ## show what hostile clients do to ringcached and memcached, and to a polite client beside them: eight minutes; more flags in ARGS
	$(PEER)
	bin/ringcached-bench attack $(ARGS)

man: build ## write docs/ringcached.1 from the flags
	bin/ringcached man > docs/ringcached.1

completions: build ## write docs/completion for bash, zsh and fish from the flags
	mkdir -p docs/completion
	bin/ringcached completion bash > docs/completion/ringcached.bash
	bin/ringcached completion zsh > docs/completion/_ringcached
	bin/ringcached completion fish > docs/completion/ringcached.fish

statistics: build ## write docs/statistics.md from the table of the lines of stats
	bin/ringcached statistics > docs/statistics.md

program: ## build the server alone as PROGRAM=path, for GOARCH
	$(BUILD) -o $(or $(PROGRAM),bin/ringcached) ./cmd/ringcached

# Units and settings name the program and the settings where they are.
HERE = sed 's|/usr/bin/|$(PREFIX)/bin/|g; s|/etc/ringcached.conf|$(SYSCONFDIR)/ringcached.conf|g'
INTO = $(DESTDIR)$(PREFIX)

# What is installed, below PREFIX.
UNITS = lib/systemd/system/ringcached.service lib/systemd/system/ringcached.socket
INSTALLED = bin/ringcached share/man/man1/ringcached.1 share/bash-completion/completions/ringcached share/zsh/site-functions/_ringcached \
	share/fish/vendor_completions.d/ringcached.fish lib/sysusers.d/ringcached.conf $(UNITS)

install: $(if $(PROGRAM),,build) ## install the server, its manual, completion, units and settings: PREFIX=/usr/local SYSCONFDIR=/etc DESTDIR=
	install -D -m 755 $(or $(PROGRAM),bin/ringcached) $(INTO)/bin/ringcached
	install -D -m 644 docs/ringcached.1 $(INTO)/share/man/man1/ringcached.1
	install -D -m 644 docs/completion/ringcached.bash $(INTO)/share/bash-completion/completions/ringcached
	install -D -m 644 docs/completion/_ringcached $(INTO)/share/zsh/site-functions/_ringcached
	install -D -m 644 docs/completion/ringcached.fish $(INTO)/share/fish/vendor_completions.d/ringcached.fish
	install -D -m 644 packaging/systemd/ringcached.sysusers $(INTO)/lib/sysusers.d/ringcached.conf
	install -d $(INTO)/lib/systemd/system $(DESTDIR)$(SYSCONFDIR)
	for unit in $(UNITS); do \
		$(HERE) packaging/systemd/$${unit##*/} > $(INTO)/$$unit && chmod 644 $(INTO)/$$unit || exit; \
	done
	[ -e $(DESTDIR)$(SYSCONFDIR)/ringcached.conf ] || { $(HERE) packaging/ringcached.conf > $(DESTDIR)$(SYSCONFDIR)/ringcached.conf && chmod 644 $(DESTDIR)$(SYSCONFDIR)/ringcached.conf; }

uninstall: ## remove what `make install` has installed, but not the settings; same PREFIX= and DESTDIR=
	rm -f $(addprefix $(INTO)/,$(INSTALLED))

image: ## write dist/ringcached-image.tar, a container image for amd64 and arm64; needs no container engine
	scripts/build-image

packages: ## build .deb and .rpm packages in dist/, for ARCHES="amd64 arm64"
	scripts/build-packages dist

test-packages: ## build packages, image and chart: install them in a minimal Debian, run it in containers, check it; as root it installs what that needs
	scripts/install-test-deps packages
	go -C tools/deploy test -count=1 ./...
	RINGCACHED_PACKAGES=yes go -C test test -count=1 -p 1 -timeout 20m ./packages ./deploy

clean: ## remove what was built
	rm -rf bin dist
