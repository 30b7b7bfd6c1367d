#!/bin/bash
# What a client of memcached over TLS sees when memcached is full (-c).
#
# Good guess: what a plain client sees, "ERROR Too many open connections", or a TLS alert, or a closed connection. A client, or whoever reads its log,
# can tell that the server is there, speaks TLS, and has no room.
#
# What happens: memcached writes its line of plain text to the socket, before any handshake, and closes it. The client takes the line for a TLS
# record: its first bytes are "ERROR", so the version is 0x5252. OpenSSL, and with it Python, PHP and Node.js, reports "wrong version number", which is what it
# reports of a server that has no TLS at all. Whoever looks that up finds advice about -Z, stunnel and ports, and none about -c.
# So a TLS client that connects well at night and fails with "wrong version number" at noon has met a full server, and the server's rejected_connections say so.
#
# Seen with memcached 1.6.18-1+deb12u1 (bookworm) and 1.6.45 (forky, by MEMCACHED_PROGRAM), OpenSSL 3.0.22. Source: memcached.c, drive_machine,
# conn_listening, which writes the line if maxconns_fast is set, the default. The output seen:
#   with room:     Verify return code: 0 (ok)
#   without room:  error:0A00010B:SSL routines:ssl3_get_record:wrong version number
#   what was sent: ERROR Too many open connections
# Source of the programs: the packages, by apt-get download. Fails if a full server is told apart from one without TLS.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq "${OPENSSL:-openssl=3.0.22-1~deb12u2}" "${LIBSSL:-libssl3=3.0.22-1~deb12u2}" 2>/dev/null ||
	apt-get download -qq openssl libssl3 2>/dev/null
memcached=${MEMCACHED_PROGRAM:-}
if [ -z "$memcached" ]; then
	apt-get download -qq "${MEMCACHED:-memcached=1.6.18-1+deb12u1}" libevent-2.1-7 libsasl2-2 2>/dev/null ||
		apt-get download -qq memcached libevent-2.1-7 libsasl2-2 2>/dev/null
fi
for package in *.deb; do dpkg-deb -x "$package" .; done
libraries=$(echo "$dir"/usr/lib/*-linux-gnu*)
openssl() { LD_LIBRARY_PATH=$libraries usr/bin/openssl "$@"; }
user=()
[ "$(id -u)" != 0 ] || user=(-u nobody)

# certificate makes $1.pem and $1.key, its own authority.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$1.key" -out "$1.pem" 2>/dev/null
	chmod 644 "$1.key"
}

# start runs memcached with TLS and these arguments on a free port.
start() {
	[ -z "$server" ] || { kill "$server"; wait "$server" || true; }
	local try wait
	for try in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 10000))
		if [ -n "$memcached" ]; then
			"$memcached" "${user[@]}" -l 127.0.0.1 -p $port -t 1 -Z "$@" 2>log & server=$!
		else
			LD_LIBRARY_PATH=$libraries usr/bin/memcached "${user[@]}" -l 127.0.0.1 -p $port -t 1 -Z "$@" 2>log & server=$!
		fi
		for wait in $(seq 100); do
			kill -0 $server 2>/dev/null || break
			if (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; then return; fi
			sleep 0.1
		done
	done
	cat log
	exit 1
}

certificate server
start -c 100 -o ssl_chain_cert="$dir/server.pem",ssl_key="$dir/server.key"
# client prints how a handshake ended.
client() { openssl s_client -connect 127.0.0.1:$port -CAfile server.pem </dev/null 2>&1 | grep -m 1 -o -E 'Verify return code.*|error:[^:]*:[^:]*:[^:]*:[^:]*' || true; }

room=$(client)
echo "with room:     $room"
held=()
for n in $(seq 110); do # these say nothing, which takes a connection each
	exec {fd}<>/dev/tcp/127.0.0.1/$port
	held+=($fd)
done
full=$(client)
echo "without room:  $full"
exec 3<>/dev/tcp/127.0.0.1/$port
line=
IFS= read -r -t 10 -u 3 line || true
echo "what was sent: ${line%$'\r'}"
case $room in *"0 (ok)") ;; *) exit 1 ;; esac
case $full in *"wrong version number") ;; *) exit 1 ;; esac
case $line in "ERROR Too many open connections"*) ;; *) exit 1 ;; esac
