#!/bin/bash
# The benchmark itself, as process 1 of namespaces that run.sh made for it: load on one way after the other, round by round.
set -Eeuo pipefail
# Outside of fresh namespaces the lines below would cover the machine's /run.
[[ $$ == 1 ]] || { echo "run.sh starts this" >&2; exit 1; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

readonly ways=(direct weft haproxy envoy)
readonly kinds=(http1 http2 tcp)

mount -t tmpfs -o mode=755 bench /run          # the names of the network namespaces, and all files below
mkdir /run/bench
cd /run/bench
ulimit -n 16384
touch results

# shellcheck source=ways.sh
. "$here/ways.sh"
# shellcheck source=load.sh
. "$here/load.sh"
trap 'echo "failed at line $LINENO of ${BASH_SOURCE[0]}: $BASH_COMMAND" >&2' ERR
trap '(($? == 0)) || said' EXIT

# Who else uses the machine takes from all ways, and not from all the same.
others=$(cut -d' ' -f1 /proc/loadavg)
echo "starting; load average of the machine: $others" >&2
make_certificates
for way in "${ways[@]}"; do
  "make_$way"
done

for way in "${ways[@]}"; do
  for kind in "${kinds[@]}"; do
    prove_tls "$way" "$kind"
  done
done
echo "TLS on every way but the direct one, nothing readable: shown by a capture of each" >&2

for way in "${ways[@]:1}"; do
  memory "$way"
done
for way in "${ways[@]}"; do
  for kind in http1 http2; do
    load "$way" "$kind" "$CONNECTIONS" $((REQUESTS / 4)) >/dev/null   # connections are made, caches are filled
  done
done
order=("${ways[@]}")
for ((round = 1; round <= ROUNDS; round++)); do
  echo "round $round of $ROUNDS" >&2
  for way in "${order[@]}"; do
    measure "$way"
  done
  order=("${order[@]:1}" "${order[0]}")                               # nobody is always first
done
check_counts

print_version() { # NAME VERSION FILE
  printf '%s %s, %s bytes' "$1" "$2" "$(stat -Lc %s "$3")"
}
printf '\n%s (%s); %s; %s\n' "$(print_version weft-proxy "$(./weft-proxy --version | cut -d' ' -f2)" "$PROXY")" \
  "$(basename "$(dirname "$PROXY")")" "$(print_version haproxy "$(haproxy -v | awk 'NR == 1 { print $3 }')" "$(command -v haproxy)")" \
  "$(print_version envoy "$(./envoy --version | sed -nE 's|.*version: [^/]*/([^/]*)/.*|\1|p')" "$ENVOY")"
printf 'Linux %s, %s CPUs (%s); medians of %s rounds of %s requests (%s on one connection) and %s handshakes; %s requests at once; %s worker(s) a hop; load average before: %s\n\n' \
  "$(uname -r)" "$(nproc)" "$(sed -nE 's/^model name\s*: //p' /proc/cpuinfo | head -1)" "$ROUNDS" "$REQUESTS" $((REQUESTS / 4)) \
  "$HANDSHAKES" "$CONNECTIONS" "$WORKERS" "$others"
awk -v open="$OPEN" -f "$here/table.awk" results
