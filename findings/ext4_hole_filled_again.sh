#!/bin/bash
# ext4: a hole that was punched into a mapped file is filled again by a write to a byte beside it.
#
# The good guess. fallocate(FALLOC_FL_PUNCH_HOLE) gives the blocks of a range back, and they come back when somebody writes to the range. A write
# of one byte through a shared mapping to a page (of 4 KiB) outside of the range takes no block in it: the range is a multiple of the block size, of
# the page size, and even 1 MiB at a multiple of 1 MiB.
#
# What happens. Since Linux 6.16 ext4 keeps what is cached of a file in large folios, of up to 2 MiB on x86-64. A punch that hits a part of a dirty
# folio zeroes that part, and the folio may stay whole. The next write through the mapping to another part of it, which the punch has made a fault, goes to
# ext4_page_mkwrite, and that makes room for all of the folio, hole and all: st_blocks of the file grows again. Where the file system is full by then, the write is a SIGBUS, although its own block is there and
# has been written before. Who gives back many ranges side by side, and writes something to the next one before it is
# given back too (as an allocator that empties its pages one by one), is left with about half of the blocks.
#
# What to do: give back ranges as large as a huge page, at multiples of that, and only where nothing in them is used; or MADV_RANDOM on the mapping,
# before it is touched, which makes the kernel cache single pages (and POSIX_FADV_RANDOM those that are read): more faults, slower fsync.
#
# Seen on Linux 6.18.44, x86-64, ext4. Source: fs/ext4/inode.c (ext4_page_mkwrite, ext4_punch_hole, ext4_set_inode_mapping_order), mm/truncate.c
# (truncate_inode_partial_folio). Not so on tmpfs.
#
# Needs gcc, and as $TMPDIR or /tmp a folder on ext4. It prints what the kernel does. Exit code 0: as described; 1: otherwise; 2: not an ext4, or an
# older kernel.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
type=$(stat -f -c %T "$dir")
[ "$type" = ext2/ext3 ] || { echo "$dir is on $type, not on ext4"; exit 2; }
printf '%s\n' 6.16 "$(uname -r)" | sort -CV || { echo "Linux $(uname -r) has no large folios in ext4"; exit 2; }
cat > "$dir/hole.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20, ALL = 64, LEFT = 8 };

static int fd;
static char *map;

static void need(int ok, const char *what) {
	if (!ok) {
		perror(what);
		exit(2);
	}
}

static long blocks(void) {
	struct stat st;
	need(!fstat(fd, &st), "fstat");
	return st.st_blocks >> 11; /* MiB */
}

static void punch(int i) {
	need(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)i * MIB, MIB), "fallocate");
}

/* give punches all MiB but the first ones, from the last on, and says how many the file has then. */
static long give(const char *name, int touch, int advice) {
	need((fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0, name);
	need(!fallocate(fd, 0, 0, (off_t)ALL * MIB), "fallocate");
	map = mmap(NULL, (size_t)ALL * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(map != MAP_FAILED, "mmap");
	need(!madvise(map, (size_t)ALL * MIB, advice), "madvise");
	for (long at = 0; at < (long)ALL * MIB; at += 4096)
		map[at] = 1;
	for (int i = ALL - 1; i >= LEFT; i--) {
		punch(i);
		if (touch)
			map[(long)(i - 1) * MIB] = 2; /* the next to go, or the last that stays */
	}
	return blocks();
}

int main(int argc, char **argv) {
	(void)argc;
	long quiet = give(argv[1], 0, MADV_NORMAL), touched = give(argv[2], 1, MADV_NORMAL), single = give(argv[3], 1, MADV_RANDOM);
	printf("%d MiB of %d are to stay: %ld do; %ld where one byte of the next MiB was written after each punch; %ld of them with MADV_RANDOM\n",
		LEFT, ALL, quiet, touched, single);
	if (quiet == LEFT && touched > LEFT && single == LEFT)
		return 0;
	puts("the kernel does something else now");
	return 1;
}
C
gcc -O1 -Wall -Wextra -o "$dir/hole" "$dir/hole.c"
"$dir/hole" "$dir/quiet" "$dir/touched" "$dir/single"
