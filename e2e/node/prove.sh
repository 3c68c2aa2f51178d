#!/bin/bash
# Shows on the running cluster what Weft counts on; with a second node also what lies between two: `prove.sh`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_node 1
node_pid >/dev/null || fail "there is no cluster: start it with up.sh"
set +e
bin=$(programs)
work=$(mktemp -d)
passed=0 failed=0
own="apiservice/v1.proof.weft.dev mutatingwebhookconfiguration/proof.weft.dev namespace/weft-proof"
kubectl() { "$here/kubectl.sh" -n weft-proof "$@"; }
# shellcheck disable=SC2086
trap 'kubectl delete --wait=false --ignore-not-found $own &>/dev/null; rm -rf "$work"' EXIT

check() { # SENTENCE REGULAR-EXPRESSION COMMAND...
  local got status
  got=$("${@:3}" 2>&1)
  status=$?
  if ((status == 0)) && grep -qE -- "$2" <<<"$got"; then
    passed=$((passed + 1))
    echo "ok    $1"
  else
    failed=$((failed + 1))
    echo "FAIL  $1"
    tail -5 <<<"$got" | sed 's/^/        /'
  fi
}
eventually() { # COMMAND...: what was changed takes a moment to reach kube-proxy, CoreDNS and caches
  local end=$((SECONDS + 30))
  until "$@" &>/dev/null || ((SECONDS >= end)); do sleep 0.2; done
  "$@"
}
shows() { local want=$1; shift; "$@" | grep -E -- "$want"; }
not() { ! "$@"; }
in_pod() { kubectl exec "$1" -c "$2" -- /probe "${@:3}"; }
client() { in_pod client client "$@"; }
field() { kubectl get "$1" -o "jsonpath={$2}"; }

# --- Set up.
"$here/image.sh" probe "$bin/weft-node" || exit 1
printf '[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n' >"$work/openssl.cnf"
openssl req -x509 -config "$work/openssl.cnf" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=api \
  -addext subjectAltName=DNS:api.weft-proof.svc -keyout "$work/key" -out "$work/cert" 2>"$work/openssl.log" || exit 1
# shellcheck disable=SC2086
kubectl delete --ignore-not-found $own &>/dev/null   # of a run that was interrupted
kubectl create namespace weft-proof >/dev/null || exit 1
eventually kubectl get serviceaccount default >/dev/null
sed "s|@CERT@|$(base64 -w0 "$work/cert")|; s|@KEY@|$(base64 -w0 "$work/key")|" "$here/prove.yaml" | kubectl create -f - >/dev/null || exit 1
kubectl wait --for=condition=Ready pod/client pod/meshed pod/api --timeout=60s >/dev/null
kubectl rollout status deployment/web --timeout=60s >/dev/null
eventually client get http://web/ >/dev/null
client_ip=$(field pod/client .status.podIP)
client_ip6=$(field pod/client '.status.podIPs[1].ip')
web=$(field service/web .spec.clusterIP)
web6=$(field service/web '.spec.clusterIPs[1]')

# --- Traffic and names.
check "a service reaches its pods, which see the client's own address" "pod=web.* from=$client_ip " client get http://web/
check "by IPv6 too" "pod=web.* from=$client_ip6 " eventually client get "http://[$web6]/"
check "a pod reaches itself through its service" "pod=client " eventually client get http://self/
check "a headless service has an address per pod" "^10\.244\.[^ ]+ 10\.244\.[^ ]+" eventually shows ' 10\.' client lookup web-headless
for name in web web.weft-proof.svc web.weft-proof.svc.cluster.local.; do
  check "the name $name" "^$web\b" client lookup "$name"
done
check "a name outside does not exist" "no such host" not client lookup example.com
check "the node itself reaches a service" "pod=web" enter "$bin/weft-node" probe get "http://$web/"

# --- From outside, through the API server.
check "kubectl exec" "^weft-proof$" client cat /var/run/secrets/kubernetes.io/serviceaccount/namespace
check "kubectl logs" "^GET self" kubectl logs client
kubectl port-forward pod/client :8080 >"$work/forward" 2>&1 &
forwarding=$!
eventually grep -q 127.0.0.1: "$work/forward"
check "kubectl port-forward" "pod=client from=127.0.0.1" curl -s --max-time 5 "http://$(grep -om1 '127.0.0.1:[0-9]*' "$work/forward")/"
kill "$forwarding"
wait "$forwarding" 2>/dev/null

# --- Pods.
check "a native sidecar starts before the application and stays" "^true true$" \
  field pod/meshed '.status.initContainerStatuses[1].started} {.status.containerStatuses[0].ready'
check "an init container's nftables rules turn the application's connections" "^was going to $web:80$" in_pod meshed app get http://web/
check "but not those of the sidecar's user" "pod=web" in_pod meshed proxy get http://web/
check "who is not root" "uid=1337" in_pod meshed proxy get http://127.0.0.1:8080/
check "a job with a native sidecar completes" "met" kubectl wait --for=condition=Complete job/job --timeout=60s
check "too much memory is fatal" "OOMKilled" eventually shows . field pod/hungry '.status.containerStatuses[0].state.terminated.reason'
check "a limit of the processor is in force" "^30000$" client cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us
check "an image that is there is not imported again" "^$" "$here/image.sh" probe "$bin/weft-node"
check "a dynamic program is no image" "dynamically linked" not "$here/image.sh" bash /bin/bash

# --- Extending the API.
check "an aggregated API is available" "met" kubectl wait --for=condition=Available apiservice/v1.proof.weft.dev --timeout=60s
check "it learns the caller from an API server that shows its certificate" '"certificate":"front-proxy-client".*"user":"admin"' \
  kubectl get --raw /apis/proof.weft.dev/v1/namespaces/weft-proof/callers
check "a webhook behind a service changes what is admitted" "^yes$" eventually shows yes \
  kubectl create configmap "c$RANDOM" -o 'jsonpath={.metadata.labels.mutated}' --dry-run=server

# --- Identity.
token=$(client cat /token/token)
review() {
  printf 'apiVersion: authentication.k8s.io/v1\nkind: TokenReview\nspec: {token: "%s", audiences: [%s]}\n' "$token" "$1" |
    kubectl create -f - -o 'jsonpath={.status.authenticated} {.status.user.username}'
}
check "a projected token is good for its audience" "^true system:serviceaccount:weft-proof:default$" review proof
check "and for no other" "^ *$" review other

# --- No way out. Documentation addresses stand for the world, the last for this
# machine. Not more than five at a time: the kernel rations refusals.
mapfile -t machine < <(ip -4 -o address show scope global | sed -n 's|.* inet \([0-9.]*\)/.*|\1:22|p' | head -1)
outside=(198.51.100.1:443 udp:198.51.100.1:53 172.16.0.1:80 "${machine[@]}")
check "a pod reaches nothing outside and learns at once" "no route to host" client refused "${outside[@]}"
# Linux heeds such a refusal at the first retransmission only, after a second.
check "nor by IPv6" "permission denied" client refused --within 1500ms "[2001:db8::1]:443" "udp:[2001:db8::1]:53"
check "nor does the node" "permission denied" enter "$bin/weft-node" probe refused "${outside[@]}"
check "nor the machine's loopback" "refused" enter "$bin/weft-node" probe refused "127.0.0.1:$port"
traces() { { ip address; ip route show table all; ip rule; } | grep -cE '10\.(244|250|96)\.|fd00:10:'; true; }
check "the machine has no address and no route of the cluster" "^0$" traces

# --- Faults.
for program in kube-apiserver etcd; do
  check "$program comes back after kill -9" "waiting" "$here/kill.sh" 1 "$program"
done
check "and nothing is lost" "pod=web" eventually client get http://web/

# --- Two nodes.
if [[ $(nodes | wc -l) -gt 1 ]]; then
  second=$(nodes | sed -n 2p)
  for pod in here:1 there:"$second"; do
    kubectl run "${pod%:*}" --image=localhost/probe:dev --port=8080 --expose \
      --overrides="{\"spec\": {\"nodeName\": \"weft-node-${pod#*:}\"}}" -- serve >/dev/null
  done
  kubectl wait --for=condition=Ready pod/here pod/there --timeout=60s >/dev/null
  here_ip=$(field pod/here .status.podIP) there_ip=$(field pod/there .status.podIP)
  there_ip6=$(field pod/there '.status.podIPs[1].ip')
  from_here() { in_pod here here get "$1"; }
  from_there() { in_pod there there get "$1"; }
  check "two nodes: from pod to pod, address kept" "pod=there from=$here_ip " from_here "http://$there_ip:8080/"
  check "two nodes: through a service by its name, back" "pod=here from=$there_ip " eventually from_there "http://here.weft-proof.svc:8080/"
  check "two nodes: by IPv6" "pod=there from=fd00" from_here "http://[$there_ip6]:8080/"
  check "two nodes: the second reaches nothing outside" "no route to host" in_pod there there refused "${outside[@]}"
  "$here/link.sh" "$second" down
  check "two nodes: cable pulled" "no route|unreachable|deadline|timeout" not from_here "http://$there_ip:8080/"
  "$here/link.sh" "$second" up
  check "two nodes: cable plugged" "pod=there" eventually from_here "http://$there_ip:8080/"
  "$here/down.sh" "$second"
  check "two nodes: the loss of one is noticed" "met" kubectl wait --for=condition=Ready=Unknown "node/weft-node-$second" --timeout=60s
  check "two nodes: and the lost one comes back" "Ready" "$here/up.sh" "$second"
  check "two nodes: with its images" "met" kubectl wait --for=condition=Ready pod/there --timeout=60s
fi
echo "$passed passed, $failed failed"
((failed == 0))
