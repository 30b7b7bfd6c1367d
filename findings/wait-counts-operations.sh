#!/bin/bash
# How many completions io_uring_enter waits for.
#
# Good guess: a wait for 8 completions (min_complete) ends as soon as there are 8. A multishot receive makes one for each message, so a wait
# for 8 ends with the eighth message, whichever sockets they came by.
#
# What happens: on a ring with IORING_SETUP_DEFER_TASKRUN a sleeping wait counts operations that have something to do. Eight messages to
# eight sockets end it at once. Eight messages to one socket with one multishot receive are one such operation: the wait lasts to its time
# limit, though its eight completions could all be had. A batch wait chosen by the number of requests lately served waits in vain where few
# clients pipeline.
#
# Seen with Linux 6.18 and liburing 2.3-3 (bookworm), x86-64. Source: io_uring/io_uring.c, io_req_local_work_add, which counts task work items
# (nr_tw), and io_cqring_wait. The output seen:
#   8 messages over 8 sockets: the wait took about 50 ms, and left 8 completions to read
#   8 messages over 1 socket: the wait took about 500 ms, its limit, and left 8 completions to read
# Needs gcc and io_uring. Fails if the wait ends as guessed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
for package in liburing2 liburing-dev; do
	apt-get download -qq "$package=${LIBURING:-2.3-3}" 2>/dev/null || apt-get download -qq "$package" 2>/dev/null
	dpkg-deb -x "${package}"_*.deb .
done

cat > wait.c <<'EOF'
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGES = 8, SIZE = 64, LIMIT_MS = 500, PAUSE_MS = 50 };

static void must(int result, const char *what) {
	if (result < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-result));
		exit(2);
	}
}

/* How long a wait for all messages takes that come PAUSE_MS later, over this many sockets, in ms. */
static long waits(int sockets) {
	static char buffers[2 * MESSAGES][SIZE];
	struct io_uring ring;
	must(io_uring_queue_init(64, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN), "setup");
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_provide_buffers(sqe, buffers, SIZE, 2 * MESSAGES, 0, 0);
	struct io_uring_cqe *cqe;
	must(io_uring_submit_and_wait(&ring, 1), "buffers");
	must(io_uring_peek_cqe(&ring, &cqe), "buffers");
	io_uring_cqe_seen(&ring, cqe);

	int pairs[MESSAGES][2];
	for (int i = 0; i < sockets; i++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pairs[i]) < 0)
			must(-errno, "socketpair");
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_recv_multishot(sqe, pairs[i][0], NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
	}
	must(io_uring_submit(&ring), "receive");
	pid_t child = fork();
	if (child == 0) {
		usleep(PAUSE_MS * 1000);
		for (int i = 0; i < MESSAGES; i++)
			if (write(pairs[i % sockets][1], "message", 7) != 7)
				_exit(1);
		_exit(0);
	}
	struct timespec from, to;
	struct __kernel_timespec limit = {.tv_nsec = LIMIT_MS * 1000000L};
	clock_gettime(CLOCK_MONOTONIC, &from);
	int result = io_uring_wait_cqes(&ring, &cqe, MESSAGES, &limit, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (result != -ETIME)
		must(result, "wait");
	long took = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	printf("%d messages over %d socket%s: the wait took about %s, and left %u completions to read\n", MESSAGES, sockets, sockets > 1 ? "s" : "",
	       took < LIMIT_MS * 3 / 4 ? "50 ms" : "500 ms, its limit", io_uring_cq_ready(&ring));
	waitpid(child, NULL, 0);
	io_uring_queue_exit(&ring);
	return took;
}

int main(void) {
	long many = waits(MESSAGES), one = waits(1);
	return !(many < LIMIT_MS * 3 / 4 && one >= LIMIT_MS);
}
EOF
lib=$(dirname "$(find usr -name 'liburing.so.2*' | head -1)")
gcc -O2 -I usr/include -o wait wait.c "$(find usr -name 'liburing.a')" 2>/dev/null || gcc -O2 -I usr/include -o wait wait.c -L "$lib" -l:liburing.so.2
LD_LIBRARY_PATH="$dir/$lib" ./wait
