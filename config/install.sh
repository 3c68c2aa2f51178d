#!/bin/bash
# Installs Weft from this folder into the cluster of $KUBECTL and waits until it works. $BINARIES has what the images hold.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubectl=${KUBECTL:-kubectl}
apply() { "$kubectl" apply --server-side --force-conflicts --field-manager=weft-install "$@" >/dev/null; }

echo "weft: installing" >&2
apply -k "$here/crds"
"$kubectl" wait --for=condition=Established --timeout=30s -f <("$kubectl" kustomize "$here/crds") >/dev/null
apply -k "$here"

# The tag `dev` stays the same when its content changes, so the pods are told of the content.
if [[ ${WEFT_CLUSTER:-local} == local ]]; then
  build=$(cat "$BINARIES/weft-operator" "$BINARIES/weft-proxy" | sha256sum | cut -c1-16)
  "$kubectl" -n weft-system patch deployment weft-operator --type=merge --field-manager=weft-install-build \
    -p "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"weft.dev/build\":\"$build\"}}}}}" >/dev/null
fi

echo "weft: waiting for the operator" >&2
"$kubectl" -n weft-system rollout status deployment/weft-operator --timeout=120s >/dev/null
echo "weft: waiting for the metrics API" >&2
"$kubectl" wait --for=condition=Available --timeout=60s \
  apiservice/v1alpha1.metrics.smi-spec.io apiservice/v1alpha2.metrics.smi-spec.io >/dev/null
echo "weft: waiting for the webhooks' certificate" >&2
has() { "$kubectl" wait --for=jsonpath="{$1}" --timeout=60s "${@:2}" >/dev/null; }
for webhook in 0 1; do
  has ".webhooks[$webhook].clientConfig.caBundle" mutatingwebhookconfiguration/weft-injector
done
has '.webhooks[0].clientConfig.caBundle' validatingwebhookconfiguration/weft-validator
# A kind with one version is never converted.
converted=$("$kubectl" get -f <("$kubectl" kustomize "$here/crds") \
  -o jsonpath='{range .items[?(@.spec.conversion.strategy=="Webhook")]}crd/{.metadata.name} {end}')
# shellcheck disable=SC2086
has '.spec.conversion.webhook.clientConfig.caBundle' $converted
echo "weft: ready" >&2
