#!/bin/bash
# What a memcached with TLS does after a refresh of its certificates has failed.
#
# Good guess: refresh_certs answers with an error when it can't take up the new files, and goes on with the old ones, as other servers do at a reload. So
# a script that writes the certificate first and the key a moment later does no harm: the refresh between the two fails, and the next one is good.
#
# What happens: memcached loads one file after the other into the settings in use. If the certificate is good and the key is not its own, the new certificate
# is kept, OpenSSL drops the old key, and there is no pair any more. From then on every handshake fails, with the alert handshake_failure, until a
# refresh with a matching key; connections that are open go on, and `stats` counts no failed refresh. If the certificate's file is bad, the old pair does serve on.
# So replace the key together with the certificate, and look at the answer of refresh_certs: after an error try again, or clients that come anew are shut out.
#
# Seen with memcached 1.6.18-1+deb12u1 (bookworm) and 1.6.45 (forky, by MEMCACHED_PROGRAM), OpenSSL 3.0.22. Source: memcached's tls.c, refresh_certs and
# load_server_certificates; OpenSSL's SSL_CTX_use_certificate, which drops a key that does not fit. The output seen:
#   before:                      subject=CN = old
#   a certificate that is none:  Error loading the certificate chain: ...
#                                subject=CN = old
#   a new one, the old key:      Error loading the key: ...
#                                sslv3 alert handshake failure
#   a new one, its key:          OK
#                                subject=CN = new
# Source of the programs: the packages, by apt-get download. Fails if the server goes on after the third step with what it had.
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

certificate old
certificate new
cp old.pem chain.pem
cp old.key key.pem
plain=
# A listener without TLS takes the command.
for try in 1 2 3 4 5; do
	plain=$((30000 + RANDOM % 2000))
	(exec 3<>/dev/tcp/127.0.0.1/$plain) 2>/dev/null || break
done
start -l "notls:127.0.0.1:$plain" -o ssl_chain_cert="$dir/chain.pem",ssl_key="$dir/key.pem"
exec 4<>/dev/tcp/127.0.0.1/$plain

client() { openssl s_client -connect 127.0.0.1:$port </dev/null 2>&1 | grep -m 1 -o -E 'subject=.*|sslv3 alert [a-z ]*' || true; }
# refresh prints the answer to refresh_certs without the file and OpenSSL's words, and what a new client gets.
refresh() {
	printf 'refresh_certs\r\n' >&4
	local answer
	IFS= read -r -t 10 -u 4 answer
	answer=${answer%$'\r'}
	printf '%-29s%s\n' "$1:" "${answer/: */: ...}"
	got=$(client)
	printf '%-29s%s\n' "" "$got"
}
printf '%-29s%s\n' "before:" "$(client)"
echo nothing >chain.pem
refresh "a certificate that is none"
[[ $got = *old ]] || exit 1
cp new.pem chain.pem
refresh "a new one, the old key"
[[ $got = *"handshake failure" ]] || exit 1
cp new.key key.pem
refresh "a new one, its key"
[[ $got = *new ]]
