#!/bin/bash
# How a trace that pzstd compressed begins.
#
# Good guess: a .zst file begins with zstd's magic number, bytes 28 b5 2f fd. A reader that looks at the first four bytes to tell compressed
# traces from plain ones knows it by them.
#
# What happens: pzstd, which large traces are compressed with since it uses all cores, writes a skippable frame before each frame, with the
# length of what follows, so that it can decompress in parallel. The file begins with 50 2a 4d 18. The format allows any of 50 to 5f there
# (RFC 8878, 3.1.2), and a frame with data may come much later. A reader has to look for both numbers.
#
# Seen with zstd 1.5.4+dfsg2-5 (bookworm), programs zstd and pzstd. The output seen:
#   zstd:  28 b5 2f fd
#   pzstd: 50 2a 4d 18, and zstd reads it back: yes
# Source: the package, by apt-get download. Fails if pzstd's output begins otherwise.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq "${ZSTD:-zstd=1.5.4+dfsg2-5}" 2>/dev/null || apt-get download -qq zstd 2>/dev/null
dpkg-deb -x zstd_*.deb .

seq 100000 | sed 's/.*/&,key-&,64/' > trace.csv
usr/bin/zstd -q trace.csv -o one.zst
usr/bin/pzstd -q -p 2 trace.csv -o two.zst
magic() { od -An -tx1 -N4 "$1" | sed 's/^ //'; }
back=no
if usr/bin/zstd -q -d -c two.zst | cmp -s - trace.csv; then
	back=yes
fi
echo "zstd:  $(magic one.zst)"
echo "pzstd: $(magic two.zst), and zstd reads it back: $back"
[ "$(magic one.zst)" = "28 b5 2f fd" ] && [ "$(magic two.zst)" = "50 2a 4d 18" ] && [ $back = yes ]
