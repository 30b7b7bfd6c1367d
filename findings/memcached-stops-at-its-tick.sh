#!/bin/bash
# How long memcached takes to stop.
#
# Good guess: a memcached without clients and without -e has nothing to finish, so it is gone some milliseconds after SIGTERM.
#
# What happens: the signal's handler only sets a flag, and the main thread looks at the flag when an event ends its wait. libevent goes back to
# sleep after an interrupted wait, so without clients the next event is the timer of memcached's clock, which ticks once a second. It ends at
# the next full second of its life: half a second after the signal on average, a whole one at worst. A tool that starts and stops many servers
# waits most of its time for that; a service manager's stop, or a rolling restart of many nodes, takes as much longer. SIGKILL ends it at once.
#
# Seen with memcached 1.6.18-1+deb12u1 (bookworm) and 1.6.45 (forky), libevent 2.1.12, Linux 6.18. Source: memcached.c, sig_handler, main's loop over
# event_base_loop and clock_handler; libevent's epoll.c, epoll_dispatch, which returns to the loop on EINTR. The output seen, on a
# busy machine:
#   told 150 ms after its start: gone after 873 ms
#   told 350 ms after its start: gone after 676 ms
#   told 550 ms after its start: gone after 427 ms
#   told 750 ms after its start: gone after 493 ms
#   killed: gone after 82 ms
# Source: the package, by apt-get download. Fails if memcached is gone within 100 ms each time.
set -euo pipefail
dir=$(mktemp -d)
server=0
trap '[ "$server" = 0 ] || kill -KILL "$server" 2>/dev/null; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
for package in "${MEMCACHED:-memcached=1.6.18-1+deb12u1}" libevent-2.1-7; do
	apt-get download -qq "$package" 2>/dev/null || apt-get download -qq "${package%%=*}" 2>/dev/null
	dpkg-deb -x "${package%%=*}"_*.deb .
done
mkdir -m 777 run # for the socket of the user nobody
export LD_LIBRARY_PATH="$dir/usr/lib/$(uname -m)-linux-gnu"

now() { echo $(($(date +%s%N) / 1000000)); }
# stop starts a server, sends it a signal after a while (seconds), and prints how long it takes to end (milliseconds).
stop() {
	usr/bin/memcached -u nobody -s "$dir/run/socket" &
	server=$!
	sleep "$2"
	local told
	told=$(now)
	kill -"$1" "$server"
	wait "$server" 2>/dev/null || true
	server=0
	echo $(($(now) - told))
}
longest=0
for after in 0.15 0.35 0.55 0.75; do
	took=$(stop TERM "$after")
	echo "told ${after/0./}0 ms after its start: gone after $took ms"
	[ "$took" -le "$longest" ] || longest=$took
done
echo "killed: gone after $(stop KILL 0.35) ms"
[ "$longest" -gt 100 ]
