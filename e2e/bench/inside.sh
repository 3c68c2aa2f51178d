#!/bin/bash
# The benchmark itself, as process 1 of namespaces that run.sh made for it: three ways from a client to a server, each with
# two network namespaces that stand for two pods; load on one way after the other, round by round.
set -Eeuo pipefail
# Outside of fresh namespaces the lines below would cover the machine's /run.
[[ $$ == 1 ]] || { echo "run.sh starts this" >&2; exit 1; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

readonly application_uid=1000 proxy_uid=1337
readonly client=10.251.0.1 server=10.251.0.2   # the same on each way; the ways do not see each other
readonly http=8080 hop=8081 control=9001 admin=15020 discovery=15010
readonly patience=100                          # tenths of a second until a process has to answer

mount -t tmpfs -o mode=755 bench /run          # the names of the network namespaces, and all files below
mkdir /run/bench
cd /run/bench
# At a path that the sidecar's user may walk, wherever the checkout lies.
touch weft-proxy testserver impostor results
mount --bind "$PROXY" weft-proxy
mount --bind "$BINARIES/testserver" testserver
mount --bind "$BINARIES/impostor" impostor

declare -A pids                                # of each process, by its name

said() { # what every process that ended early has written last
  local name
  for name in "${!pids[@]}"; do
    kill -0 "${pids[$name]}" 2>/dev/null || { printf '\n%s ended:\n' "$name"; tail -5 "$name.log"; }
  done >&2
}
fail() { printf '%s\n' "$@" >&2; exit 1; }
trap 'echo "failed at line $LINENO: $BASH_COMMAND" >&2' ERR
trap '(($? == 0)) || said' EXIT

in_pod() { # WAY-POD UID COMMAND...
  ip netns exec "$1" setpriv --reuid="$2" --regid="$2" --clear-groups -- "${@:3}"
}

start() { # NAME WAY-POD UID COMMAND...
  ip netns exec "$2" setpriv --reuid="$3" --regid="$3" --clear-groups -- "${@:4}" &>"$1.log" </dev/null &
  pids[$1]=$!
}

await() { # WHAT COMMAND...
  local tries=$patience
  until "${@:2}" &>/dev/null; do
    ((tries-- > 0)) || fail "not within $((patience / 10)) s: $1"
    sleep 0.1
  done
}

answers() { # WAY-POD URL
  in_pod "$1" "$application_uid" curl -fsS --max-time 1 "$2"
}

make_way() { # WAY: two pods, a cable between them, and the server
  local pod
  for pod in client server; do
    ip netns add "$1-$pod"
    ip -n "$1-$pod" link set lo up
  done
  ip -n "$1-client" link add eth0 type veth peer name eth0 netns "$1-server"
  for pod in client server; do
    ip -n "$1-$pod" address add "${!pod}/24" dev eth0
    ip -n "$1-$pod" link set eth0 up
  done
  start "$1-testserver" "$1-server" "$application_uid" env NAME=web HTTP_PORT=$http RUST_LOG=warn ./testserver
  await "the server of $1" answers "$1-server" "http://127.0.0.1:$http/ready"
}

make_weft() { # sidecars in both pods, each told by an operator of its own that the server is a Service's only endpoint
  local pod trust_root
  make_way weft
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=operator -keyout key -out certificate \
    -config <(printf '%s\n' '[req]' 'distinguished_name=name' 'x509_extensions=extensions' '[name]' '[extensions]' \
      'subjectAltName=IP:127.0.0.1' 'basicConstraints=critical,CA:FALSE') 2>/dev/null
  trust_root=$(<certificate)
  echo bench >token
  for pod in client server; do
    start "weft-$pod-operator" "weft-$pod" "$application_uid" env CERTIFICATE="$trust_root" KEY="$(<key)" RUST_LOG=warn \
      ./impostor operator --port $discovery --control-port $control --service-port $http
    await "the operator of the $pod" in_pod "weft-$pod" 0 curl -fsS "http://127.0.0.1:$control/script" \
      --json "{\"backends\": [[\"web\", [\"$server:$http\"]]]}"
    ip netns exec "weft-$pod" ./weft-proxy init --proxy-uid=$proxy_uid --skip-inbound-ports=$admin
    start "weft-$pod-hop" "weft-$pod" $proxy_uid env WEFT_OPERATOR=https://127.0.0.1:$discovery WEFT_TRUST_ROOT="$trust_root" \
      WEFT_TOKEN_FILE=/run/bench/token WEFT_POD_NAME="$pod" WEFT_POD_NAMESPACE=bench WEFT_WORKERS="$WORKERS" ./weft-proxy run
    await "the sidecar of the $pod" answers "weft-$pod" "http://127.0.0.1:$admin/readyz"
  done
}

make_peer() { # a reverse proxy in both pods, each with connections that it keeps
  local pod
  make_way peer
  for pod in client server; do
    sed -e "s/@WORKERS@/$WORKERS/" -e "s/@HOP@/$hop/" \
      -e "s/@NEXT@/$([[ $pod == client ]] && echo "$server:$hop" || echo "127.0.0.1:$http")/" "$here/haproxy.cfg" >"$pod.cfg"
    start "peer-$pod-hop" "peer-$pod" $proxy_uid haproxy -db -f "$pod.cfg"
  done
  await "the peer" answers peer-server "http://127.0.0.1:$hop/ready"
}

url() { # WAY: what the client asks
  [[ $1 == peer ]] && echo "http://127.0.0.1:$hop/" || echo "http://$server:$http/"
}

cpu() { # WAY: microseconds that its hops have used, by utime and stime of proc(5)
  local pod total=0
  [[ $1 != direct ]] || { echo 0; return; }
  for pod in client server; do
    # The name in parentheses may hold anything; what follows it begins with field 3.
    ((total += $(sed 's/.*) //' "/proc/${pids[$1-$pod-hop]}/stat" | awk -v hertz="$(getconf CLK_TCK)" '{ print ($12 + $13) * 1000000 / hertz }')))
  done
  echo "$total"
}

memory() { # WAY FIELD: kB of both hops together, by a field of /proc/PID/status
  [[ $1 != direct ]] || { echo 0; return; }
  awk -v field="$2:" '$1 == field { sum += $2 } END { print sum }' \
    "/proc/${pids[$1-client-hop]}/status" "/proc/${pids[$1-server-hop]}/status"
}

# Sends, and prints requests a second, the 50th and 99th percentile in microseconds, and the CPU time in microseconds.
load() { # WAY CONNECTIONS REQUESTS
  local before after said
  rm -f log
  before=$(cpu "$1")
  said=$(in_pod "$1-client" 0 h2load --h1 -t 1 -c "$2" -n "$3" --log-file=log "$(url "$1")")
  after=$(cpu "$1")
  # Failures are fast: a way that fails must not win.
  [[ $said == *" $3 succeeded, 0 failed, 0 errored, 0 timeout"* && $said == *"status codes: $3 2xx"* ]] ||
    fail "requests failed on the way $1:" "$said"
  sort -n -k3,3 log | awk -v rate="$(sed -nE 's/^finished in .*, ([0-9.]+) req\/s.*/\1/p' <<<"$said")" -v cpu=$((after - before)) '
    { took[NR] = $3 }
    function percentile(p) { return took[int((NR * p + 99) / 100)] }
    END { print rate, percentile(50), percentile(99), cpu }'
}

# Writes one line of results: way, then of the load at full speed rate, percentiles and CPU seconds for 100,000 requests, then
# of the single connection percentiles and CPU seconds for 100,000.
measure() { # WAY
  local rate p50 p99 cpu alone_p50 alone_p99 alone_cpu few=$((REQUESTS / 4))
  read -r rate p50 p99 cpu < <(load "$1" "$CONNECTIONS" "$REQUESTS")
  read -r _ alone_p50 alone_p99 alone_cpu < <(load "$1" 1 "$few")
  awk -v way="$1" -v rate="$rate" -v p50="$p50" -v p99="$p99" -v cpu="$cpu" -v requests="$REQUESTS" -v alone_p50="$alone_p50" \
    -v alone_p99="$alone_p99" -v alone_cpu="$alone_cpu" -v few="$few" 'BEGIN {
      print way, rate, p50, p99, cpu / requests / 10, alone_p50, alone_p99, alone_cpu / few / 10 }' >>results
  tail -1 results | awk '{ printf "  %-7s %6d requests/s, %s us at the median alone\n", $1, $2, $6 }' >&2
}

counted() { # POD: requests that its sidecar has counted
  answers "weft-$1" "http://127.0.0.1:$admin/metrics" | awk '/^istio_requests_total/ { sum += $NF } END { print sum + 0 }'
}

# Who else uses the machine takes from all ways, and not from all the same.
others=$(cut -d' ' -f1 /proc/loadavg)
echo "starting; load average of the machine: $others" >&2
make_way direct
make_weft
make_peer
ways=(direct weft peer)
for way in "${ways[@]}"; do
  echo "$way $(memory "$way" VmRSS)" >>idle
done
for way in "${ways[@]}"; do
  load "$way" "$CONNECTIONS" $((REQUESTS / 4)) >/dev/null   # connections are made, caches are filled
done
for ((round = 1; round <= ROUNDS; round++)); do
  echo "round $round of $ROUNDS" >&2
  for way in "${ways[@]}"; do
    measure "$way"
  done
  ways=("${ways[@]:1}" "${ways[0]}")                        # nobody is always first
done
for way in "${ways[@]}"; do
  echo "$way $(memory "$way" VmHWM)" >>peak
done

# What bypassed the sidecars would look splendid.
sent=$((REQUESTS / 4 + ROUNDS * (REQUESTS + REQUESTS / 4)))
for pod in client server; do
  [[ $(counted $pod) == "$sent" ]] || fail "of $sent requests the sidecar of the $pod counted $(counted $pod)"
done

printf '\nweft-proxy %s, %s bytes (%s); %s, %s bytes\n' "$(./weft-proxy --version | cut -d' ' -f2)" "$(stat -Lc %s "$PROXY")" \
  "$(basename "$(dirname "$PROXY")")" "$(haproxy -v | awk 'NR == 1 { print "haproxy " $3 }')" "$(stat -Lc %s "$(command -v haproxy)")"
printf 'Linux %s, %s CPUs (%s); medians of %s rounds of %s requests on %s connections and %s on one; %s worker(s) a hop; load average before: %s\n\n' \
  "$(uname -r)" "$(nproc)" "$(sed -nE 's/^model name\s*: //p' /proc/cpuinfo | head -1)" "$ROUNDS" "$REQUESTS" "$CONNECTIONS" $((REQUESTS / 4)) "$WORKERS" "$others"
awk -f "$here/table.awk" idle peak results
