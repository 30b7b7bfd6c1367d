#!/bin/bash
# What becomes of a request that is pipelined behind `lru_crawler metadump`.
#
# Good guess: requests on a connection are answered in order, so a no-op behind a metadump is answered when the dump has ended. A client that waits
# for the reply to the no-op knows then that the dump is over.
#
# What happens: the dump comes whole, and then nothing. memcached has read both requests at once; after the dump it waits for its socket to become
# readable, and does not look at what it has read already. The no-op is answered when the client sends anything more, or when it closes its
# side; a client that waits for it waits for ever. 1.6.45 refuses requests in front of a metadump ("ERROR cannot pipeline other commands before
# metadump"), none behind it.
#
# Seen with memcached 1.6.18-1+deb12u1 (bookworm) and 1.6.45. Source: Debian's package, by apt-get download. Fails if the no-op is answered by itself.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
memcached=${MEMCACHED_PROGRAM:-}
if [ -z "$memcached" ]; then
	apt-get download -qq "${MEMCACHED:-memcached=1.6.18-1+deb12u1}" libevent-2.1-7 libsasl2-2 2>/dev/null ||
		apt-get download -qq memcached libevent-2.1-7 libsasl2-2 2>/dev/null
	for package in *.deb; do dpkg-deb -x "$package" .; done
	export LD_LIBRARY_PATH=$(echo "$dir"/usr/lib/*-linux-gnu*)
	memcached=$dir/usr/bin/memcached
fi
user=()
[ "$(id -u)" != 0 ] || user=(-u nobody)
"$memcached" --version

port=
for try in 1 2 3 4 5; do
	port=$((20000 + RANDOM % 10000))
	"$memcached" "${user[@]}" -l 127.0.0.1 -p $port -t 1 & server=$!
	for wait in $(seq 100); do
		kill -0 $server 2>/dev/null || break
		if exec 3<>/dev/tcp/127.0.0.1/$port; then break 2; fi 2>/dev/null
		sleep 0.1
	done
	server=
done

# answer prints the lines that come within two seconds after the last one.
answer() { while IFS= read -r -t 2 -u 3 line; do echo "  < ${line%$'\r'}"; done; }
# ask sends its argument in one write, which bash's printf does not, and prints what comes.
ask() { printf '%b' "$1" > request; cat request >&3; answer; }

ask 'set a 0 0 1\r\nx\r\n'
echo "metadump and a no-op, in one write:"
first=$(ask 'lru_crawler metadump all\r\nmn\r\n')
echo "$first"
echo "two seconds of silence; another no-op:"
second=$(ask 'mn\r\n')
echo "$second"
[ "$(grep -c 'key=a' <<<"$first")" = 1 ] && [ "$(grep -c '< END' <<<"$first")" = 1 ] || { echo "the dump is not what was expected"; exit 1; }
[ "$(grep -c '< MN' <<<"$first" || true)" = 0 ] && [ "$(grep -c '< MN' <<<"$second")" = 2 ] || { echo "the no-op was answered by itself"; exit 1; }
