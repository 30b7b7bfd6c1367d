#!/bin/bash
# What a line of Debian's /etc/memcached.conf becomes.
#
# Good guess: Debian's script for systemd takes "-d" out of the file, since the process stays in the foreground, and comments out of a line; all
# other flags reach memcached, in the order of the file, and a word that the script does not know is an error.
#
# What happens: a line that begins with -d or -h is dropped as a whole, so "-d -m 200" starts memcached with its 64 megabytes. So is, without a
# word, every line that begins with no dash and has two words or more: the test for known directives (grep $directive, ...) is true for any. A #
# begins a comment within a word, too, even within quotes, and one behind a backslash does not. A bare word is passed on, and memcached
# ignores it.
#
# Seen with memcached 1.6.18-1+deb12u1 (bookworm), usr/share/memcached/scripts/systemd-memcached-wrapper; 1.6.45-1 (forky) has the same script.
# Source: the package, by apt-get download. Needs perl, as the script does. Fails if the script does something else.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq "${MEMCACHED:-memcached=1.6.18-1+deb12u1}" 2>/dev/null || apt-get download -qq memcached 2>/dev/null
dpkg-deb -x memcached_*.deb .

# In memcached's place stands a program that shows its arguments.
printf '#!/bin/sh\nfor arg; do printf "[%%s]" "$arg"; done\necho\n' > show
chmod 755 show
sed -e "s#\"/usr/bin/memcached\"#\"$dir/show\"#" -e 's/^if(\$> != 0.*/if(0)/' usr/share/memcached/scripts/systemd-memcached-wrapper > wrapper

cat > memcached.conf <<'EOF'
-d -m 200
listen 10.0.0.1
word
-u nobody
-Y /etc/users#1
-D \#
-c 2048 # comment
EOF
got=$(perl wrapper memcached.conf)
want='[word][-u][nobody][-Y][/etc/users][-D][#][-c][2048]'
echo "the file:"; cat memcached.conf
echo "memcached gets: $got"
if [ "$got" != "$want" ]; then
	echo "expected:       $want"
	exit 1
fi
