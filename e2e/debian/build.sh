#!/bin/bash
# Assembles a root file system with servers and clients that others wrote, from Debian's packages, unless this very script did
# before, and prints its folder. Remove the folder to get newer packages.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weft/debian
packages=(postgresql-15 redis-server mariadb-server-core mariadb-client-core nginx-light curl
  bash coreutils findutils grep sed ca-certificates netbase)
# What packages want for their installation or for what no test does: a third of the size.
unwanted='libllvm.*|libz3-.*|.*perl.*|locales|libc-l10n|iproute2|dpkg|tar|passwd|adduser|ssl-cert|ucf|sensible-utils'
unwanted+='|postgresql-common|postgresql-client-common|iso-codes|logrotate|cron.*|lsb-base|debconf'

say() { printf '%s\n' "$*" >&2; }
. /etc/os-release
[[ $ID-${VERSION_ID:-} == debian-12 ]] || { say "the packages are those of Debian 12, and this is $PRETTY_NAME"; exit 1; }
result=$cache/$({ cat "${BASH_SOURCE[0]}"; dpkg --print-architecture; } | sha256sum | cut -c1-16)
mkdir -p "$cache"
exec 8>"$cache/build.lock"
flock 8
if [[ -d $result ]]; then
  touch "$result"   # in use: see the clearing up below
  echo "$result"
  exit
fi

rm -rf "$cache"/unfinished.*   # of a build that was interrupted: the lock is ours
work=$(mktemp -d "$cache/unfinished.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree" "$work/packages"
chmod 755 "$work/tree"
say "assembling a root file system from Debian's packages"
apt-get update -qq >&2
# With an empty status file nothing counts as installed, and so everything that is needed is named.
: >"$work/status"
mapfile -t names < <(
  apt-get -qq -o Dir::State::status="$work/status" -o APT::Install-Recommends=false -s install "${packages[@]}" |
    awk '$1 == "Inst" { print $2 }' | grep -vxE "$unwanted" | sort
)
((${#names[@]} > 20)) || { say "apt-get names too few packages: ${names[*]}"; exit 1; }
(cd "$work/packages" && apt-get download -qq -o APT::Sandbox::User=root "${names[@]}" >&2)
cd "$work/tree"
# Since there is but one folder for programs and one for libraries, nobody has to look in two.
mkdir -p usr/{bin,sbin,lib,lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$folder"; done
for package in "$work"/packages/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink; done
rm -rf usr/share/{doc,man,info,locale,lintian,bash-completion} usr/lib/udev usr/lib/systemd
# Users, which packages would add as they are installed.
cat >etc/passwd <<'END'
root:x:0:0:root:/root:/bin/bash
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
postgres:x:70:70:postgres:/tmp:/bin/bash
redis:x:71:71:redis:/tmp:/usr/sbin/nologin
mysql:x:72:72:mysql:/tmp:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
printf '%s\n' root:x:0: www-data:x:33: postgres:x:70: redis:x:71: mysql:x:72: nogroup:x:65534: >etc/group
# Links that packages would make as they are installed.
[[ -e bin/sh ]] || ln -s bash bin/sh
for program in initdb postgres pgbench psql pg_isready; do ln -sf ../lib/postgresql/15/bin/$program usr/bin/; done
mkdir -p tmp etc/ssl/certs
chmod 1777 tmp
for program in initdb postgres pgbench psql pg_isready redis-server redis-benchmark redis-cli mariadbd mariadb-install-db \
  mariadb nginx curl; do
  found=$(chroot . /bin/bash -c "PATH=/usr/bin:/usr/sbin command -v $program") || { say "$program is not there"; exit 1; }
  # Scripts have none.
  libraries=$(chroot . /usr/bin/ldd "$found" 2>/dev/null) || continue
  [[ $libraries != *"not found"* ]] || { say "$program lacks libraries: $libraries"; exit 1; }
done
chmod -R u+rwX,go+rX .   # whoever a container runs as
touch "$work/tree"   # it has the time that a package gave it
mv "$work/tree" "$result"
# 200 MB each: drop what nobody has asked for in a week.
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +
echo "$result"
