# shellcheck shell=bash disable=SC2034
# Names, addresses and helpers that all the scripts here share: `source env.sh`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin   # a shell without login has neither Go nor ip
base=$(realpath -m "${WEFT_STATE:-/tmp/weft-cluster}")
export WEFT_STATE=$base   # absolute for whatever runs in another folder
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weft/node
port=16443                # of the API server, on the machine's loopback
admin=$base/1/pki/admin   # node 1 carries the control plane
services=10.96.0.0/16 services6=fd00:10:96::/112
api_service=10.96.0.1 dns_service=10.96.0.10
daemons="etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy"

say() { printf '%s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

use_node() { # K: sets everything that belongs to node K
  [[ $1 =~ ^[1-9]$ ]] || fail "not a node number, 1 to 9: $1"
  k=$1
  node=weft-node-$k
  group=weft-node-$k      # cgroup, in every hierarchy
  state=$base/$k
  address=10.250.0.$k address6=fd00:10:250::$k
  pods=10.244.$k.0/24 pods6=fd00:10:244:$k::/64
}

nodes() { # the numbers of the nodes that run
  local n
  for n in {1..9}; do
    if (use_node "$n"; node_pid >/dev/null); then echo "$n"; fi
  done
}

# The pid, seen from outside, of process 1 of the node. After a crash the file
# may name a process of somebody else: only one in our cgroup counts.
node_pid() {
  local pid
  pid=$(cat "$state/pid" 2>/dev/null) || return 1
  grep -q ":/$group/" "/proc/$pid/cgroup" 2>/dev/null && echo "$pid"
}

enter() { # COMMAND...: in all namespaces of the node
  local pid
  pid=$(node_pid) || { say "$node does not run: start it with up.sh"; return 1; }
  nsenter -t "$pid" --net --mount --pid --ipc --uts -- "$@"
}

# Root folders of the cgroup hierarchies: version 1 has one per controller.
hierarchies() { awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts; }

fingerprint() { # names a build: what it is made of and with
  command -v go >/dev/null || fail "Go is needed to build the cluster's programs, and it is not installed"
  (cd "$here" && { go env GOVERSION GOARCH; sha256sum build.sh go.mod go.sum {kube,tool,coredns}/*; }) |
    sha256sum | cut -c1-16
}

programs() { # the folder of the programs: of the cluster that runs, else of the next one
  readlink "$base/1/programs" || echo "$cache/$(fingerprint)"
}

# A request to the API server as administrator; kubectl takes ten times as long.
api() {
  curl -sf --max-time 5 --cacert "$base/1/pki/ca.crt" --cert "$admin.crt" --key "$admin.key" \
    "https://127.0.0.1:$port$1" "${@:2}"
}

answers() { # PROGRAM: is it at work on this node?
  local url
  case $1 in
    containerd) enter ctr version >/dev/null 2>&1; return ;;
    etcd) url=http://127.0.0.1:2379/health ;;
    kube-apiserver) url=https://127.0.0.1:6443/readyz ;;
    kube-controller-manager) url=https://127.0.0.1:10257/healthz ;;
    kube-scheduler) url=https://127.0.0.1:10259/healthz ;;
    kubelet) url=http://127.0.0.1:10248/healthz ;;
    kube-proxy) url=http://127.0.0.1:10256/healthz ;;
    *) fail "no such program: $1; there are: $daemons" ;;
  esac
  enter curl -skf --max-time 2 -o /dev/null "$url" 2>/dev/null
}

wait_for() { # SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1))
  say "$node: waiting for $2"
  until "${@:3}"; do
    if ((SECONDS >= end)); then
      tail -n 3 "$state/log/node.log" >&2 || true
      fail "$node: no $2 within $1 s; the logs are in $state/log"
    fi
    sleep 0.05
  done
}
