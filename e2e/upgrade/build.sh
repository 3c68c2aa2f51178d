#!/bin/bash
# Builds Weft as it was at the revision that `make test-upgrade` upgrades from, unless it was built before, and prints the folder that
# has its programs in `programs` and its manifests in `config`. FROM=REVISION says another one than that of e2e/upgrade/from.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weft/upgrade
say() { printf '%s\n' "$*" >&2; }
default=$(grep -vm1 '^#' "$here/from")
wanted=${FROM:-$default}

cd "$here"
revision=$(git rev-parse --verify --quiet "$wanted^{commit}") || {
  say "there is no revision $wanted in this checkout, from which to upgrade: fetch it, or name another with FROM=REVISION"
  exit 1
}
result=$cache/$revision
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
say "building Weft of $(git show -s --format='%h, %s' "$revision")"
# An archive and no worktree: nothing of it stays in the checkout, however this ends.
mkdir "$work/source" "$work/programs"
git -C "$(git rev-parse --show-toplevel)" archive "$revision" | tar -x -C "$work/source"
# The one folder here that outlives an interruption: the next try goes on with it.
target=$cache/target
(cd "$work/source" && CARGO_TARGET_DIR=$target nice cargo build --locked --workspace --bin weft-operator --bin weft-proxy >&2)
for name in weft-operator weft-proxy; do mv "$target/x86_64-unknown-linux-gnu/debug/$name" "$work/programs/"; done
mv "$work/source/config" "$work/"
rm -rf "$work/source" "$target"   # 3 GB
mv "$work" "$result"
# 200 MB each: drop what nobody has asked for in a week.
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +
echo "$result"
