#!/bin/bash
# Builds the program in here, unless this very source was built before, and prints its folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/local/go/bin   # a shell without login has no Go
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weft/sdk
say() { printf '%s\n' "$*" >&2; }
command -v go >/dev/null || { say "Go is needed to build the program on smi-sdk-go, and it is not installed"; exit 1; }

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
say "building the program on smi-sdk-go"
CGO_ENABLED=0 GOFLAGS='' GOWORK=off \
  go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$work/sdk" . >&2
mv "$work" "$result"
# 30 MB each: drop what nobody has asked for in a week.
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +
echo "$result"
