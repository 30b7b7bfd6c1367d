#!/usr/bin/env bash
# Whether io_uring's memory counts as locked (RLIMIT_MEMLOCK).
#
# The good guess, from release notes and from what most servers run on: rings have not counted since 5.12, and since 6.14 they do
# again, with the lists of provided buffers; so from 6.14 on a server needs LimitMEMLOCK= for its rings, and a program may decide
# by the kernel's version, or take a ring that can be made under a limit of 0 for an old kernel.
#
# What happens: it ended in the middle of a stable series. 6.18.15 and 7.2.9 refuse a ring to a user without locked memory; 7.2.11
# does not, and neither do 7.2.13 and 7.3.4. One package upgrade apart, the same unit either fails with ENOMEM or works.
# So nothing but a trial tells, and a test that wants the refusal must first see whether the kernel refuses.
#
# Source: Debian's changelog of linux 7.2.11-1, "io_uring: do not charge the SQ/CQ rings to RLIMIT_MEMLOCK" and "io_uring/kbuf:
# don't charge provided buffer rings to RLIMIT_MEMLOCK" (upstream's ChangeLog-7.2.11).
#
# Needs Debian's qemu-system-x86, cpio, gcc, curl; as root it installs what is missing. Nothing of a kernel's package is installed: each is booted
# under an emulator, with a program as init that makes one ring as nobody.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
for program in cpio gcc curl; do
	command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -eq 0 ] || apt-get install -y -qq --no-install-recommends "${missing[@]}" libc6-dev >/dev/null

cat >init.c <<'END'
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* struct io_uring_buf_reg */
struct buf_reg { uint64_t addr; uint32_t entries; uint16_t group, flags; uint64_t resv[3]; };

int main(void)
{
	struct rlimit none = {0, 0};
	unsigned char params[120] = {0}; /* struct io_uring_params */
	struct buf_reg buffers = {.entries = 1024};
	struct utsname u;
	char *ring = "works", *list = "not tried";
	int fd;

	uname(&u);
	setrlimit(RLIMIT_MEMLOCK, &none);
	if (!vfork()) { /* init stays root, to switch off */
		setuid(65534);
		fd = syscall(425, 1024, params);
		if (fd < 0) {
			ring = strerror(errno);
		} else {
			buffers.addr = (uintptr_t)mmap(0, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			list = syscall(427, fd, 22, &buffers, 1) ? strerror(errno) : "works"; /* IORING_REGISTER_PBUF_RING */
		}
		printf("RESULT %s ring: %s, list of buffers: %s\n", u.release, ring, list);
		fflush(stdout);
		_exit(0);
	}
	reboot(RB_POWER_OFF);
}
END
mkdir root root/dev
gcc -O1 -static -o root/init init.c
(cd root && find . | cpio --quiet -o -H newc -R 0:0) >initramfs

failed=
# try VERSION URL SHA256 WANTED boots the kernel of a package and compares.
try() {
	curl -fsSLo kernel.deb "http://deb.debian.org/$2"
	echo "$3  kernel.deb" | sha256sum --quiet -c
	rm -rf image && mkdir image
	dpkg-deb --fsys-tarfile kernel.deb | tar -x -C image --wildcards --no-anchored 'vmlinuz*'
	got=$(timeout 600 qemu-system-x86_64 -nodefaults -no-reboot -display none -serial stdio -monitor none -accel tcg,thread=single \
		-cpu max -m 512M -kernel "$(find image -name 'vmlinuz*')" -initrd initramfs -append 'console=ttyS0 quiet panic=-1' </dev/null |
		tr -d '\r' | sed -n 's/^RESULT [^ ]* //p')
	printf '%-9s %s\n' "$1" "${got:-said nothing}"
	[ "$got" = "$4" ] || failed="$failed $1"
}
free='ring: works, list of buffers: works'
charged='ring: Cannot allocate memory, list of buffers: not tried'
try 6.12.117 'debian-security/pool/updates/main/l/linux-signed-6.12-amd64/linux-image-6.12.117+deb12-cloud-amd64_6.12.117-1~deb12u1_amd64.deb' \
	5195b288dec79e2981d6b84457f38b7ce7310a2d702930ec7d07209c7f78ce37 "$free"
try 6.18.15 'debian/pool/main/l/linux-signed-amd64/linux-image-6.18.15+deb13-cloud-amd64_6.18.15-1~bpo13+1_amd64.deb' \
	5a507681ea8c978d02265a7fec2f02c9588fb48b54b7f71edc1059e86007f3ec "$charged"
try 7.2.9 'debian/pool/main/l/linux-signed-amd64/linux-binary-7.2.9+deb13-cloud-amd64_7.2.9-1~bpo13+1_amd64.deb' \
	a41738500ddd68b9628ab9637da9ec4a8f2b7ceceea56606e43e8b017c3f86c9 "$charged"
try 7.2.11 'debian/pool/main/l/linux-signed-amd64/linux-binary-7.2.11+deb13-cloud-amd64_7.2.11-1~bpo13+1_amd64.deb' \
	f9d27364c318c5208501577193d025475958fb86b6d4ddf96d10d41895d26f89 "$free"
if [ -n "$failed" ]; then
	echo "not as described:$failed" >&2
	exit 1
fi
