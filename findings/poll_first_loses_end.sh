#!/bin/bash
# io_uring: a multishot receive with IORING_RECVSEND_POLL_FIRST loses the end of a connection that is there before it is armed.
#
# The good guess. POLL_FIRST says "do not try to receive before the socket is readable", to spare an attempt on a socket that is most likely
# empty. It should change how much work is done, and nothing else: whatever the order of data, end and submission, a multishot receive
# reports the data, and then the end (0, or an error) as its last completion.
#
# What happens. If data and the end both wait in the socket when such a receive is submitted, it reports the data with IORING_CQE_F_MORE, and
# then nothing ever again. The poll that it began with has used up the only event: the receive runs once, takes the data, and goes back to wait
# for a wake-up that nobody sends any more. So it is
#   - with a unix socket whose peer has written and then shut down or closed (as "printf 'get a\r\n' | nc -NU path" does),
#   - with a TCP socket whose peer has written and then reset the connection (SO_LINGER 0); not with an orderly end.
# Without POLL_FIRST, or when data and end come after the submission, all ends are reported.
#
# What to do: no POLL_FIRST on unix sockets; on TCP look again after a while (cancel the receive and submit it once more).
#
# Seen with Linux 6.18.44, x86-64, with COOP_TASKRUN and with DEFER_TASKRUN; on kernels before 6.17 the unix sockets are not concerned, says
# https://github.com/axboe/liburing/issues/1549, where a similar loss was reported and mended. liburing 2.3-3 of Debian 12 is only used to
# write the test shortly: it does not matter for the result.
#
# Usage: poll_first_loses_end.sh. It needs gcc, a kernel with multishot receives (6.0), and io_uring allowed. Exit code 0: as described.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
apt-get -q download liburing-dev=2.3-3 >/dev/null 2>&1 || { apt-get -q update >/dev/null && apt-get -q download liburing-dev=2.3-3 >/dev/null; }
dpkg -x liburing-dev_2.3-3_*.deb .
cat > ends.c <<'C'
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { SHUTDOWN, CLOSE, RESET };
static const char *ends[] = {"shutdown", "close", "reset"};

static void need(int ok, const char *what) {
	if (!ok) {
		perror(what);
		exit(2);
	}
}

static void connected(int tcp, int fd[2]) {
	if (!tcp) {
		need(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd), "socketpair");
		return;
	}
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	need(!bind(l, (void *)&a, n) && !listen(l, 1) && !getsockname(l, (void *)&a, &n), "listen");
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	need(!connect(fd[1], (void *)&a, n), "connect");
	need((fd[0] = accept(l, NULL, NULL)) >= 0, "accept");
	close(l);
}

static void say_and_end(int fd, int end) {
	need(write(fd, "x\n", 2) == 2, "write");
	if (end == SHUTDOWN)
		shutdown(fd, SHUT_WR);
	if (end == RESET) {
		struct linger l = {1, 0};
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	}
	if (end != SHUTDOWN)
		close(fd);
}

// lost reports whether a multishot receive never ends.
static int lost(int defer, int tcp, int end, int poll_first, int there) {
	struct io_uring r;
	struct io_uring_params p = {.flags = defer ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : IORING_SETUP_COOP_TASKRUN};
	need(!io_uring_queue_init_params(8, &r, &p), "io_uring_setup");
	static char buf[8][64];
	struct io_uring_buf_ring *br;
	need(!posix_memalign((void **)&br, 4096, 4096), "memory");
	struct io_uring_buf_reg reg = {.ring_addr = (unsigned long)br, .ring_entries = 8};
	need(!io_uring_register_buf_ring(&r, &reg, 0), "io_uring_register");
	io_uring_buf_ring_init(br);
	for (int i = 0; i < 8; i++)
		io_uring_buf_ring_add(br, buf[i], sizeof buf[i], i, 7, i);
	io_uring_buf_ring_advance(br, 8);

	int fd[2];
	connected(tcp, fd);
	if (there) {
		say_and_end(fd[1], end);
		usleep(50000);
	}
	struct io_uring_sqe *s = io_uring_get_sqe(&r);
	io_uring_prep_recv_multishot(s, fd[0], NULL, 0, 0);
	s->flags |= IOSQE_BUFFER_SELECT;
	if (poll_first)
		s->ioprio |= IORING_RECVSEND_POLL_FIRST;
	need(io_uring_submit(&r) == 1, "io_uring_enter");
	if (!there) {
		usleep(50000);
		say_and_end(fd[1], end);
	}
	printf("%-12s %-4s %-8s %-10s %-12s:", defer ? "DEFER" : "COOP", tcp ? "TCP" : "unix", ends[end], poll_first ? "POLL_FIRST" : "", there ? "there before" : "comes later");
	int over = 0;
	while (!over) {
		struct __kernel_timespec t = {.tv_sec = 3};
		struct io_uring_cqe *c;
		if (io_uring_wait_cqe_timeout(&r, &c, &t))
			break;
		printf(" %d%s", c->res, c->flags & IORING_CQE_F_MORE ? " and more," : ", end");
		over = !(c->flags & IORING_CQE_F_MORE);
		io_uring_cqe_seen(&r, c);
	}
	puts(over ? "" : " and nothing for 3 s");
	io_uring_queue_exit(&r);
	close(fd[0]);
	if (end == SHUTDOWN)
		close(fd[1]);
	free(br);
	return !over;
}

int main(void) {
	struct utsname u;
	int major = 0, minor = 0, wrong = 0;
	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	int since617 = major > 6 || (major == 6 && minor >= 17);
	printf("Linux %s\n", u.release);
	for (int defer = 0; defer < 2; defer++)
		for (int tcp = 0; tcp < 2; tcp++)
			for (int end = SHUTDOWN; end <= (tcp ? RESET : CLOSE); end++)
				for (int poll_first = 0; poll_first < 2; poll_first++)
					for (int there = 0; there < 2; there++) {
						int expected = poll_first && there && (tcp ? end == RESET : since617);
						wrong += lost(defer, tcp, end, poll_first, there) != expected;
					}
	printf("%d cases are not as described\n", wrong);
	return wrong > 0;
}
C
gcc -O1 -I usr/include -o ends ends.c usr/lib/*/liburing.a
./ends
