#!/bin/bash
# Where a session of TLS is resumed, and where the client that tries is refused.
#
# Good guess: ssl_session_cache "enable[s] server-side SSL session cache, to support session resumption", as the help says. So without it clients
# are given no sessions to resume, and each connection costs a full handshake. Worse than that it can't be: a server that does not know a session makes a new one.
#
# What happens: OpenSSL gives out tickets unless it is told not to, so sessions are resumed without that option. But with ssl_verify_mode 1, 2 or 3, without
# ssl_session_cache, the tickets are given out all the same, and a client that comes back with one is refused: the alert internal_error, and no
# full handshake. OpenSSL wants an application that looks at clients' certificates to name the context of its sessions (SSL_CTX_set_session_id_context),
# and memcached names it only together with its cache. A client that keeps sessions, such as a Go program with a ClientSessionCache, connects once, and each time
# after that fails; clients that keep none, such as Python's, never do. So a server with certificates of clients needs ssl_session_cache.
#
# Seen with memcached 1.6.18-1+deb12u1 (bookworm) and 1.6.45 (forky, by MEMCACHED_PROGRAM), OpenSSL 3.0.22. Source: memcached's tls.c, ssl_init; OpenSSL's
# ssl/ssl_sess.c, ssl_get_prev_session, "session id context uninitialized". The output seen:
#   mode 0, first:                         New, TLSv1.3
#   mode 0, again:                         Reused, TLSv1.3
#   mode 2, first:                         New, TLSv1.3
#   mode 2, again:                         tlsv1 alert internal error
#   mode 2 with ssl_session_cache, first:  New, TLSv1.3
#   mode 2 with ssl_session_cache, again:  Reused, TLSv1.3
# and the same of TLS 1.2. Source of the programs: the packages, by apt-get download. Fails if a client that comes back to mode 2 is served.
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
certificate client
files=ssl_chain_cert=$dir/server.pem,ssl_key=$dir/server.key,ssl_ca_cert=$dir/client.pem
# client connects, by a session if there is one, and prints what became of it.
client() {
	local session=(-sess_out session)
	[ ! -e session ] || session=(-sess_in session)
	printf 'version\r\nquit\r\n' | openssl s_client -ign_eof -connect 127.0.0.1:$port "-$version" -CAfile server.pem -cert client.pem -key client.key "${session[@]}" 2>&1 |
		grep -a -m 1 -o -E '^(New|Reused), TLSv1.[23]|(sslv3|tlsv1) alert [a-z ]*' || true
}
# visits prints how a client is received by a server with these options, at first and when it comes back.
visits() {
	local what=$1
	shift
	start -o "$@"
	rm -f session
	printf '%-39s%s\n' "$what, first:" "$(client)"
	again=$(client)
	printf '%-39s%s\n' "$what, again:" "$again"
}
for version in tls1_3 tls1_2; do
	visits "mode 0" "$files"
	[[ $again = Reused* ]] || exit 1
	visits "mode 2" "$files,ssl_verify_mode=2"
	[[ $again = *"alert internal error" ]] || exit 1
	visits "mode 2 with ssl_session_cache" "$files,ssl_verify_mode=2,ssl_session_cache"
	[[ $again = Reused* ]] || exit 1
done
