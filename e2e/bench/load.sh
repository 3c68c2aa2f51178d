# Load on a way, and what it costs. Read by inside.sh.
# shellcheck shell=bash

readonly streams=8                             # requests at once on one connection of HTTP/2
declare -A sent=([direct]=0 [weft]=0 [haproxy]=0 [envoy]=0)  # HTTP requests of each way

note() { # WAY NAME VALUE: one line of results
  echo "$*" >>results
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

resident() { # WAY: kB of both hops together
  awk '$1 == "VmRSS:" { sum += $2 } END { print sum }' "/proc/${pids[$1-client-hop]}/status" "/proc/${pids[$1-server-hop]}/status"
}

# Sends, and prints requests a second, the 50th and 99th percentile in microseconds, and the CPU time in microseconds.
load() { # WAY KIND CONNECTIONS REQUESTS
  local before after said options=(--h1 -c "$3")
  case $2 in
    http2) if (($3 < streams)); then options=(-c "$3"); else options=(-c $(($3 / streams)) -m $streams); fi ;;
    tcp) options+=(-H "connection: close") ;;
  esac
  rm -f log
  before=$(cpu "$1")
  said=$(in_pod "$1-client" 0 h2load "${options[@]}" -t 1 -n "$4" --log-file=log "$(url "$1" "$2")/")
  after=$(cpu "$1")
  # Failures are fast: a way that fails must not win.
  [[ $said == *" $4 succeeded, 0 failed, 0 errored, 0 timeout"* && $said == *"status codes: $4 2xx"* ]] ||
    fail "requests failed on the way $1 by $2:" "$said"
  sort -n -k3,3 log | awk -v rate="$(sed -nE 's/^finished in .*, ([0-9.]+) req\/s.*/\1/p' <<<"$said")" -v cpu=$((after - before)) '
    { took[NR] = $3 }
    function percentile(p) { return took[int((NR * p + 99) / 100)] }
    END { print rate, percentile(50), percentile(99), cpu }'
}

# One round of a way: by each kind of HTTP at full speed and on a single connection, and a connection for each request.
measure() { # WAY
  local kind rate p50 p99 used few=$((REQUESTS / 4)) before=() pod
  for kind in http1 http2; do
    read -r rate p50 p99 used < <(load "$1" $kind "$CONNECTIONS" "$REQUESTS")
    note "$1" $kind-full-rate "$rate"
    note "$1" $kind-full-p50 "$p50"
    note "$1" $kind-full-p99 "$p99"
    note "$1" $kind-full-cpu "$(per 100000 "$used" "$REQUESTS")"
    read -r _ p50 p99 used < <(load "$1" $kind 1 "$few")
    note "$1" $kind-one-p50 "$p50"
    note "$1" $kind-one-p99 "$p99"
    note "$1" $kind-one-cpu "$(per 100000 "$used" "$few")"
    printf '  %-7s %s: %6.0f requests/s, %s us at the median alone\n' "$1" $kind "$rate" "$p50" >&2
    ((sent[$1] += REQUESTS + few))
  done
  for pod in client server; do
    [[ $1 == direct ]] || before+=("$(handshakes "$1" $pod)")
  done
  read -r rate _ _ used < <(load "$1" tcp "$CONNECTIONS" "$HANDSHAKES")
  note "$1" handshakes-rate "$rate"
  note "$1" handshakes-cpu "$(per 1000 "$used" "$HANDSHAKES")"
  printf '  %-7s tcp:   %6.0f connections/s\n' "$1" "$rate" >&2
  [[ $1 != direct ]] || return 0
  # What was not asked to prove itself anew would look splendid.
  for pod in client server; do
    (($(handshakes "$1" $pod) - before[0] >= HANDSHAKES)) ||
      fail "$HANDSHAKES connections on the way $1, and its $pod hop went from ${before[0]} handshakes to $(handshakes "$1" $pod)"
    before=("${before[@]:1}")
  done
}

per() { # NUMBER MICROSECONDS REQUESTS: seconds for NUMBER requests
  awk -v number="$1" -v used="$2" -v requests="$3" 'BEGIN { print used / 1e6 / requests * number }'
}

# Opens connections, has each answer one request, and reads the memory of the hops while all are open.
memory() { # WAY
  local kind
  note "$1" rss-idle "$(resident "$1")"
  for kind in http1 tcp; do
    coproc HOLD { in_pod "$1-client" 0 python3 "$here/hold.py" "$(url "$1" $kind)" "$OPEN"; }
    local holding=$HOLD_PID output=${HOLD[0]} input=${HOLD[1]} answer=""
    read -r answer <&"$output" || true
    [[ $answer == open ]] || fail "$OPEN connections could not be opened on the way $1 by $kind: $answer"
    note "$1" "rss-$kind" "$(resident "$1")"
    exec {input}>&-
    wait "$holding"
  done
}

# Sends a word that is easily found, and looks for it and for TLS records on the cable.
prove_tls() { # WAY KIND
  local word=readable-on-the-wire options=() capture
  case $2 in
    http2) options=(--http2-prior-knowledge) ;;
    tcp) options=(-H "connection: close") ;;
  esac
  ip netns exec "$1-server" tcpdump -i eth0 -Z root -U --immediate-mode -w "$1-$2.pcap" tcp 2>"$1-$2-capture.log" &
  capture=$!
  await "the capture" grep -q "listening on" "$1-$2-capture.log"
  [[ $(in_pod "$1-client" 0 curl -fsS --max-time 10 "${options[@]}" -d $word "$(url "$1" "$2")/echo") == "$word" ]] ||
    fail "the way $1 by $2 does not carry what it is given"
  # Application data of TLS 1.2 and 1.3 (RFC 8446 section 5.1).
  if [[ $1 == direct ]]; then
    await "the capture of what was sent on the direct way by $2" grep -qa "$word" "$1-$2.pcap"
  else
    await "TLS on the way $1 by $2" env LC_ALL=C grep -qaP '\x17\x03\x03' "$1-$2.pcap"
  fi
  kill -INT $capture
  wait $capture || true
  [[ $1 == direct ]] || ! grep -qa $word "$1-$2.pcap" || fail "what was sent on the way $1 by $2 can be read on the wire"
}

counted() { # POD: requests that its sidecar has counted
  answers "weft-$1" "http://127.0.0.1:$admin/metrics" | awk '/^istio_requests_total/ { sum += $NF } END { print sum + 0 }'
}

# What bypassed the sidecars would look splendid.
check_counts() {
  local pod found
  for pod in client server; do
    found=$(counted $pod)
    ((found >= sent[weft])) || fail "of ${sent[weft]} requests the sidecar of the $pod counted $found"
  done
}
