#!/bin/bash
# Ends the cluster and every trace of it: `down.sh`; or cuts the power of node K only: `down.sh K`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
mkdir -p "$cache"
if [[ ! /proc/$$/fd/9 -ef $cache ]]; then   # up.sh, which holds the lock, hands it on
  exec 9<"$cache"
  flock 9
fi
# Node 1 holds the data of the cluster: without it there is nothing to join.
targets=({1..9})
use_node "${1:-1}"
[[ $k == 1 ]] || targets=("$k")

folders=()
for hierarchy in $(hierarchies); do
  for n in "${targets[@]}"; do
    [[ ! -d $hierarchy/weft-node-$n ]] || folders+=("$hierarchy/weft-node-$n")
  done
done
processes() { { find "${folders[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null || true; } | sort -u; }
remove_cgroups() { # fails while one of the dead is not reaped yet
  local folder
  find "${folders[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
  for folder in "${folders[@]}"; do [[ ! -d $folder ]] || return 1; done
}

# Only what is in our cgroups. With its process 1 go a node's namespaces, and
# with them mounts, interfaces, rules and whoever entered it from outside.
end=$((SECONDS + 20))
if ((${#folders[@]})); then
  while pids=$(processes) && [[ -n $pids ]]; do
    for pid in $pids; do kill -KILL "$pid" 2>/dev/null || true; done
    ((SECONDS < end)) || fail "these processes do not end: $pids"
    sleep 0.02
  done
fi
for n in "${targets[@]}"; do
  [[ ! -d $base/$n ]] || rm -rf "${base:?}/$n" &
done
if ((${#folders[@]})); then
  until remove_cgroups; do
    ((SECONDS < end)) || fail "some cgroups cannot be removed"
    sleep 0.02
  done
fi
wait
rmdir "$base" 2>/dev/null || true
