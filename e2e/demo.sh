#!/bin/bash
# Shows one TrafficSplit at work: `demo.sh`, on the cluster of KUBECONFIG, with Weft installed. KUBECTL names the kubectl to use.
set -euo pipefail
samples=$(cd "$(dirname "${BASH_SOURCE[0]}")/../config/samples" && pwd)
# What the closing hints show has to work when it is typed: without a kubectl on the PATH they name the one used here.
shown=${KUBECTL:-kubectl}
kubectl() { command "$shown" "$@"; }
demo() { kubectl -n demo "$@"; }
say() { printf '\n\e[1m%s\e[0m\n' "$*"; }
# kubectl has no progress of its own while it waits: a dot each second, and on failure what the namespace says about it.
await() { # SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2
  printf '%s ' "$what"
  until "${@:3}" &>/dev/null; do
    if ((SECONDS >= end)); then
      printf '\nnot within %s s. The last Events:\n' "$1" >&2
      demo get events --sort-by=.lastTimestamp | tail -15 >&2
      exit 1
    fi
    printf .
    sleep 1
  done
  echo " done"
}

field() { demo get "$1" -o "jsonpath=$2"; }
programmed() {
  [[ $(field trafficsplit/catalog '{.status.conditions[?(@.type=="Programmed")].status} {.status.conditions[?(@.type=="Programmed")].observedGeneration}') \
    == "True $(field trafficsplit/catalog '{.metadata.generation}')" ]]
}
ask() { # PATH: of the storefront, by way of the API server
  kubectl get --raw "/api/v1/namespaces/demo/services/storefront:http/proxy/$1"
}
answered() { # awaits that the sidecar has found its operator, the Service and the catalog
  [[ $(ask '') == *catalog_version* ]]
}
# Requests a second that the storefront's rows show for the two versions. 1000 requests in the window of 30 seconds are 33.3.
shown_rate() { demo get trafficmetrics --no-headers | awk '/^storefront +to catalog-v/ { sum += $6 } END { print sum + 0 }'; }
shown_in_metrics() { awk -v shown="$(shown_rate)" 'BEGIN { exit !(shown >= 33.2) }'; }

say "1. A storefront that asks a catalog, of which two versions run"
kubectl apply -k "$samples/demo"
for deployment in catalog-v1 catalog-v2 storefront; do
  await 120 "waiting for $deployment" demo rollout status "deployment/$deployment" --timeout=1s
done
await 60 "waiting for an answer" answered

say "2. A TrafficSplit: 90 of 100 requests to version 1, 10 to version 2"
sed -n '/^spec:/,$p' "$samples/split/catalog.yaml"
kubectl apply -f "$samples/split/catalog.yaml"
await 60 "waiting until every proxy has it" programmed

say "3. The storefront asks the catalog 1000 times"
result=$(ask 'run?requests=1000&connections=4')
count() { sed -nE "s/.*\"$1\":([0-9]+).*/\1/p" <<<"$result"; }
printf 'version 1 answered %s, version 2 answered %s, failed %s\n' "$(count v1)" "$(count v2)" "$(count failed)"
if [[ $(count v1) != 900 || $(count v2) != 100 || $(count failed) != 0 ]]; then
  printf 'expected 900, 100 and 0; the answer was %s\n' "$result" >&2
  exit 1
fi

say "4. What the mesh has seen of it in the last 30 seconds"
await 30 "waiting for the sidecars to report" shown_in_metrics
demo get trafficmetrics
echo "1000 requests in a window of 30 seconds are 33.3 a second; the storefront's rows show $(shown_rate)"

say "Three things to try next"
cat <<HINTS
Move everybody to version 2, then ask again:
  $shown -n demo patch trafficsplit catalog --type merge -p '{"spec":{"backends":[{"service":"catalog-v2","weight":1}]}}'
  $shown get --raw '/api/v1/namespaces/demo/services/storefront:http/proxy/run?requests=1000'

Split to a Service that does not exist, and read what Weft says about it:
  $shown -n demo patch trafficsplit catalog --type merge -p '{"spec":{"backends":[{"service":"catalog-v1","weight":9},{"service":"catalog-v3","weight":1}]}}'
  $shown -n demo describe trafficsplit catalog

See who talks to whom, edge by edge:
  $shown get --raw /apis/metrics.smi-spec.io/v1alpha2/namespaces/demo/deployments/storefront/edges
HINTS
[[ -z ${KUBECONFIG:-} ]] || printf '\nAll of it on this cluster: export KUBECONFIG=%s\n' "$KUBECONFIG"
