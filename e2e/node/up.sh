#!/bin/bash
# Starts the cluster, or finds it healthy: `up.sh [NODES]`, 1 node unless told otherwise.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
count=${1:-1}
[[ $count =~ ^[1-9]$ ]] || fail "usage: up.sh [NODES], 1 to 9"
[[ $EUID == 0 ]] || fail "a node needs root: namespaces, mounts and cgroups"

install_packages() {
  local missing=() pair
  for pair in containerd:containerd runc:runc nft:nftables ip:iproute2 curl:curl openssl:openssl \
    /usr/lib/cni/bridge:containernetworking-plugins /etc/ssl/certs/ca-certificates.crt:ca-certificates; do
    [[ -e ${pair%:*} ]] || command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  ((${#missing[@]})) || return 0
  say "installing Debian packages: ${missing[*]}"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "${missing[@]}"; } >/dev/null
}

# A node that came back is Ready by what its Node object still says: only a
# report made since its start counts.
ready() {
  api "/api/v1/nodes/$node" | awk -v since="$started" -F'"' '
    $2 == "type" { of_ready = $4 == "Ready" }
    of_ready && $2 == "status" { ok = $4 == "True" }
    of_ready && $2 == "lastHeartbeatTime" { fresh = $4 >= since }
    END { exit !(ok && fresh) }'
}
resolves() { enter "$state/programs/weft-node" probe lookup --server "$dns_service:53" kubernetes.default.svc.cluster.local. >/dev/null 2>&1; }
healthy() { answers kubelet && answers kube-proxy && ready && resolves; }
has_network() { enter ip address show dev node0 2>/dev/null | grep -qF "$address6/"; }
has_namespaces() { api /api/v1/namespaces/default -o /dev/null && api /api/v1/namespaces/kube-system -o /dev/null; }

# Says which processes are ours and is the kubelet's cgroupRoot, which has to be
# in every hierarchy. A new cpuset is empty and would take no process.
make_cgroups() {
  local hierarchy folder
  for hierarchy in $(hierarchies); do
    mkdir -p "$hierarchy/$group/daemons"
    [[ -e $hierarchy/cpuset.cpus ]] || continue
    for folder in "$hierarchy/$group" "$hierarchy/$group/daemons"; do
      cat "$hierarchy/cpuset.cpus" >"$folder/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" >"$folder/cpuset.mems"
    done
  done
}

# The cable to node 1, made in there with its far end in here: no moment at
# which an end of it is outside. Then everybody learns where our pods are.
plug() {
  local mine first n theirs
  mine=$(node_pid)
  first=$(use_node 1; node_pid)
  nsenter -t "$first" --net ip link add "to-node-$k" type veth peer name to-node-1 netns "$mine"
  nsenter -t "$first" --net ip link set "to-node-$k" master node0 up
  nsenter -t "$mine" --net ip link set to-node-1 master node0 up
  for n in $(nodes); do
    [[ $n != "$k" ]] || continue
    theirs=$(use_node "$n"; node_pid)
    nsenter -t "$mine" --net ip route replace "10.244.$n.0/24" via "10.250.0.$n"
    nsenter -t "$mine" --net ip route replace "fd00:10:244:$n::/64" via "fd00:10:250::$n"
    nsenter -t "$theirs" --net ip route replace "$pods" via "$address"
    nsenter -t "$theirs" --net ip route replace "$pods6" via "$address6"
  done
}

import_images() {
  local image name
  for image in pause coredns; do
    enter ctr -n k8s.io images import - <"$state/programs/$image.tar" >/dev/null
  done
  [[ $k != 1 ]] || return 0
  # What image.sh gave to node 1, as there is no registry to pull it from.
  mkdir -p "$state/images"
  for image in "$base"/1/images/*; do
    [[ -e $image ]] || continue
    name=${image##*/}
    (use_node 1; enter ctr -n k8s.io images export - "localhost/$name:dev") |
      enter ctr -n k8s.io images import - >/dev/null
    cp "$image" "$state/images/$name"
  done
}

# Names, port and cgroups are the machine's: a second cluster would end the first.
is_foreign() {
  local pid pids
  mapfile -t pids < <(cat "$(hierarchies | head -1)/$group/daemons/cgroup.procs" 2>/dev/null)
  for pid in "${pids[@]}"; do
    if grep -qz '^WEFT_STATE=' "/proc/$pid/environ" 2>/dev/null && ! grep -qzxF "WEFT_STATE=$base" "/proc/$pid/environ"; then
      return
    fi
  done
  return 1
}

start_node() {
  ! is_foreign || fail "$node runs with another WEFT_STATE than $base: end it with down.sh first"
  "$here/down.sh" "$k"
  say "$node: starting"
  started=$(date -u +%FT%TZ)
  mkdir -p "$state/log"
  ln -s "$bin" "$state/programs"
  "$here/config.sh" "$k"
  "$here/pki.sh" "$k"
  make_cgroups
  local way_in=()
  [[ $k != 1 ]] || way_in=(--listen "127.0.0.1:$port" --dial 127.0.0.1:6443)
  (
    for hierarchy in $(hierarchies); do echo "$BASHPID" >"$hierarchy/$group/daemons/cgroup.procs"; done
    cd /
    exec setsid "$bin/weft-node" run --pid-file "$state/pid" "${way_in[@]}" \
      /bin/bash "$here/inside.sh" "$k" </dev/null >"$state/log/node.log" 2>&1 9<&-
  ) &
  wait_for 10 network has_network
  [[ $k == 1 ]] || plug
  wait_for 20 containerd answers containerd
  import_images
  if [[ $k == 1 ]]; then
    wait_for 60 "the API server" api /readyz -o /dev/null
    wait_for 20 "its namespaces" has_namespaces
    "$here/kubectl.sh" create -f "$here/coredns.yaml" >/dev/null
  fi
  wait_for 60 "kubelet and kube-proxy" eval "answers kubelet && answers kube-proxy"
  wait_for 60 "the node to be Ready" ready
  wait_for 60 "an answer of the DNS" resolves
}

mkdir -p "$cache"
exec 9<"$cache"
flock 9   # one up or down at a time
bin=
for n in $(seq "$count"); do
  use_node "$n"
  started=
  if node_pid >/dev/null; then
    # Busy or just struck by a test is not broken: what is in it would be lost.
    healthy || (wait_for 30 "its recovery" healthy) && continue
    say "$node: starting anew"
  fi
  if [[ -z $bin ]]; then
    [[ -e /proc/sys/net/bridge ]] || modprobe br_netfilter || fail "the kernel has no br_netfilter"
    install_packages
    # All nodes run the same programs, those of node 1.
    if [[ $n == 1 ]]; then bin=$("$here/build.sh"); else bin=$(programs); fi
  fi
  start_node
done
[[ $(programs) == "$cache/$(fingerprint)" ]] || say "the cluster runs older programs; down.sh, then up.sh replaces them"
say "up: export KUBECONFIG=$admin.kubeconfig"
