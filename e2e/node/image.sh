#!/bin/bash
# Gives every node an image localhost/NAME:dev, made of a static binary, which is its entry point /NAME: `image.sh NAME BINARY`,
# or of a folder that is a root file system: `image.sh NAME TREE ENTRYPOINT [KEY=VALUE...]`, with variables of its environment.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
usage="usage: image.sh NAME BINARY | image.sh NAME TREE ENTRYPOINT [KEY=VALUE...]"
(($# >= 2)) || fail "$usage"
name=$1 source=$2
[[ $name =~ ^[a-z0-9]+([._-][a-z0-9]+)*$ ]] || fail "not a name for an image: $name"
targets=$(nodes)
[[ -n $targets ]] || fail "there is no cluster: start it with up.sh"
if [[ -d $source ]]; then
  [[ ${3:-} == /* ]] || fail "$usage"
  entrypoint=$3 environment=("${@:4}")
  # Reading all of it would take longer than asking whether anything is new.
  digest=$({ printf '%s\n' "${@:3}"; cd "$source"; find . -printf '%P %m %s %T@ %l\n' | LC_ALL=C sort; } | sha256sum)
elif [[ -f $source ]]; then
  (($# == 2)) || fail "$usage"
  entrypoint=/$name environment=()
  digest=$(sha256sum <"$source")
else
  fail "no such file or folder: $source"
fi
digest=${digest%% *}
archive=
trap 'rm -f "$archive"' EXIT

for n in $targets; do
  use_node "$n"
  had=$(cat "$state/images/$name" 2>/dev/null) || true
  [[ $had != "$digest" ]] || continue
  if [[ -z $archive ]]; then
    archive=$(mktemp "$base/1/archive.XXXXXX")
    # Of this checkout, whatever the cluster runs.
    "$("$here/build.sh")/weft-node" pack "localhost/$name:dev" "$entrypoint" "$source" "$archive" "${environment[@]}"
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
