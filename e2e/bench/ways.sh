# Four ways from a client to a server, each with two network namespaces that stand for two pods. Read by inside.sh.
# shellcheck shell=bash

readonly application_uid=1000 proxy_uid=1337
readonly client=10.251.0.1 server=10.251.0.2   # the same on each way; the ways do not see each other
readonly http=8080 opaque=8090                 # of the application; on the second nobody looks for a protocol
readonly control=9001 admin=15020 discovery=15010 peer_admin=8089
readonly patience=150                          # tenths of a second until a process has to answer

# At a path that the sidecar's user may walk, wherever the checkout lies.
for binary in "$PROXY" "$BINARIES"/{testserver,impostor} "$ENVOY"; do
  touch "$(basename "$binary")"
  mount --bind "$binary" "$(basename "$binary")"
done

declare -A pids                                # of each process, by its name

said() { # what every process that ended early has written last
  local name
  for name in "${!pids[@]}"; do
    kill -0 "${pids[$name]}" 2>/dev/null || { printf '\n%s ended:\n' "$name"; tail -5 "$name.log"; }
  done >&2
}
fail() { printf '%s\n' "$@" >&2; exit 1; }

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

# One authority for all ways: what is verified costs the same.
make_certificates() {
  local pod
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=bench -keyout ca.key -out ca.crt \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
  for pod in client server operator; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj / -keyout "$pod.key" -out "$pod.csr" 2>/dev/null
    openssl x509 -req -in "$pod.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -out "$pod.crt" -extfile <(printf '%s\n' \
      "subjectAltName=URI:spiffe://bench/ns/bench/sa/$pod,DNS:$pod.bench,IP:127.0.0.1" 'basicConstraints=critical,CA:FALSE' \
      'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth,clientAuth') 2>/dev/null
    cat "$pod.crt" "$pod.key" >"$pod.pem"
  done
  chmod 644 -- *.key *.pem
}

make_way() { # WAY: two pods, a cable between them, and the server
  local pod port
  for pod in client server; do
    ip netns add "$1-$pod"
    ip -n "$1-$pod" link set lo up
  done
  ip -n "$1-client" link add eth0 type veth peer name eth0 netns "$1-server"
  for pod in client server; do
    ip -n "$1-$pod" address add "${!pod}/24" dev eth0
    ip -n "$1-$pod" link set eth0 up
  done
  # One server for each port; what else it listens on is out of the way.
  for port in $http $opaque; do
    start "$1-testserver-$port" "$1-server" "$application_uid" env NAME=web HTTP_PORT="$port" CONTROL_PORT=$((port + 10000)) \
      TCP_PORT=$((port + 10001)) SERVER_FIRST_PORT=$((port + 10002)) RUST_LOG=warn ./testserver
    await "the server of $1" answers "$1-server" "http://127.0.0.1:$port/ready"
  done
}

make_direct() {
  make_way direct
}

# Sidecars in both pods, each told by an operator of its own that the server is the only endpoint of two Services.
make_weft() {
  local pod port endpoint
  make_way weft
  for pod in client server; do
    start "weft-$pod-operator" "weft-$pod" "$application_uid" env CERTIFICATE="$(<operator.crt)" KEY="$(<operator.key)" \
      ISSUER_CERTIFICATE="$(<ca.crt)" ISSUER_KEY="$(<ca.key)" IDENTITY="spiffe://bench/ns/bench/sa/$pod" RUST_LOG=warn \
      ./impostor operator --port $discovery --control-port $control
    for port in $http $opaque; do
      endpoint="{\"address\": \"$server:$port\", \"identity\": \"spiffe://bench/ns/bench/sa/server\"}"
      await "the operator of the $pod" in_pod "weft-$pod" 0 curl -fsS "http://127.0.0.1:$control/script/$port" \
        --json "{\"backends\": [[\"web\", [$endpoint]]]}"
    done
    ip netns exec "weft-$pod" ./weft-proxy init --proxy-uid=$proxy_uid --skip-inbound-ports=$admin 2>"init-$pod.log" ||
      fail "no redirect rules for the $pod:" "$(tail -5 "init-$pod.log")"
    echo bench >token
    start "weft-$pod-hop" "weft-$pod" $proxy_uid env WEFT_OPERATOR=https://127.0.0.1:$discovery WEFT_TRUST_ROOT="$(<ca.crt)" \
      WEFT_TOKEN_FILE=/run/bench/token WEFT_POD_NAME="$pod" WEFT_POD_NAMESPACE=bench WEFT_OPAQUE_PORTS=$opaque \
      WEFT_WORKERS="$WORKERS" ./weft-proxy run
    await "the sidecar of the $pod" answers "weft-$pod" "http://127.0.0.1:$admin/readyz"
  done
}

make_haproxy() {
  local pod
  make_way haproxy
  for pod in server client; do
    start "haproxy-$pod-hop" "haproxy-$pod" $proxy_uid haproxy -db -f "$here/peers/haproxy-$pod.cfg"
  done
  await "the pair of HAProxy" answers haproxy-client http://127.0.0.1:8081/ready
}

make_envoy() {
  local pod
  make_way envoy
  for pod in server client; do
    start "envoy-$pod-hop" "envoy-$pod" $proxy_uid ./envoy --config-path "$here/peers/envoy-$pod.yaml" --concurrency "$WORKERS" \
      --disable-hot-restart --log-level warn
  done
  await "the pair of Envoy" answers envoy-client http://127.0.0.1:8081/ready
}

url() { # WAY KIND: what the client asks
  case $1-$2 in
    direct-tcp | weft-tcp) echo "http://$server:$opaque" ;;
    direct-* | weft-*) echo "http://$server:$http" ;;
    *-http1) echo http://127.0.0.1:8081 ;;
    *-http2) echo http://127.0.0.1:8082 ;;
    *-tcp) echo http://127.0.0.1:8083 ;;
  esac
}

handshakes() { # WAY POD: of TLS, completed, as the hop counts them
  local pattern port=$peer_admin path=/metrics
  case $1 in
    weft) port=$admin pattern='^weft_tls_handshakes_total.*result="success"' ;;
    haproxy) pattern='^haproxy_process_ssl_connections_total ' ;;
    envoy) path='/stats?filter=^(listener|cluster)\..*ssl\.handshake$' pattern=handshake ;;
  esac
  # The root's connections to its own pod are not redirected to a sidecar that would count them.
  in_pod "$1-$2" 0 curl -fsS --max-time 5 -g "http://127.0.0.1:$port$path" |
    awk -v pattern="$pattern" '$0 ~ pattern { sum += $NF } END { print sum + 0 }'
}
