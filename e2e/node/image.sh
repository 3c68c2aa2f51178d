#!/bin/bash
# Gives every node a static binary as image localhost/NAME:dev with entry point /NAME: `image.sh NAME BINARY`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
[[ $# == 2 ]] || fail "usage: image.sh NAME BINARY"
name=$1 binary=$2
[[ $name =~ ^[a-z0-9]+([._-][a-z0-9]+)*$ ]] || fail "not a name for an image: $name"
[[ -f $binary ]] || fail "no such file: $binary"
targets=$(nodes)
[[ -n $targets ]] || fail "there is no cluster: start it with up.sh"
digest=$(sha256sum <"$binary")
digest=${digest%% *}
archive=
trap 'rm -f "$archive"' EXIT

for n in $targets; do
  use_node "$n"
  had=$(cat "$state/images/$name" 2>/dev/null) || true
  [[ $had != "$digest" ]] || continue
  if [[ -z $archive ]]; then
    archive=$(mktemp "$base/1/archive.XXXXXX")
    "$base/1/programs/weft-node" pack "localhost/$name:dev" "/$name" "$binary" "$archive"
  fi
  enter ctr -n k8s.io images import - <"$archive" >/dev/null
  # The predecessor stays under the name of its digest, 100 MB each time: no one else would ever remove it.
  mapfile -t nameless < <(enter ctr -n k8s.io images ls | awk '
    $1 ~ /^sha256:/ { name[$3] = $1; next } { named[$3] } END { for (d in name) if (!(d in named)) print name[d] }')
  ((${#nameless[@]} == 0)) || enter ctr -n k8s.io images rm "${nameless[@]}" >/dev/null
  mkdir -p "$state/images"
  echo "$digest" >"$state/images/$name"
  say "$node: localhost/$name:dev"
done
