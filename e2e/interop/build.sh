#!/bin/bash
# Builds the programs in here as the root file system of an image, unless this very source was built before, and prints
# its folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/local/go/bin   # a shell without login has no Go
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weft/interop
say() { printf '%s\n' "$*" >&2; }
command -v go >/dev/null || { say "Go is needed to build the protocols' test programs, and it is not installed"; exit 1; }

cd "$here"
result=$cache/$({ go env GOVERSION GOARCH; sha256sum build.sh go.mod go.sum ./*.go; } | sha256sum | cut -c1-16)
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
chmod 755 "$work"
mkdir -p "$work"/{bin,etc,tmp}
chmod 1777 "$work/tmp"
printf '%s\n' root:x:0:0::/: nobody:x:65534:65534::/: >"$work/etc/passwd"
export CGO_ENABLED=0 GOFLAGS='' GOWORK=off   # not what happens to be set on this machine
build() { # NAME PACKAGE
  say "building $1"
  go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$work/bin/$1" "$2" >&2
}
build interop .
build grpc-server google.golang.org/grpc/interop/server
build grpc-client google.golang.org/grpc/interop/client
mv "$work" "$result"
# 60 MB each: drop what nobody has asked for in a week.
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +
echo "$result"
