#!/bin/bash
# Removes Weft from the cluster of $KUBECTL. `--crds` removes the kinds and with them every object of theirs.
# Pods keep their sidecars until they are made anew: with the issuer's key gone, for as long as their certificates are valid.
# An operator that is installed later makes another root. A sidecar that lives on finds it in its namespace's ConfigMap, which the
# kubelet brings it within two minutes or so; until then it and pods that are made anew do not believe each other. To have no such
# time, restart the meshed workloads: after this to be rid of the sidecars, or after the next install to have new ones.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubectl=${KUBECTL:-kubectl}
remove() { "$kubectl" delete --ignore-not-found --wait -k "$here/$1" >/dev/null; }

# The webhook first: without the operator behind it no pod of a meshed namespace could be made. The namespace, and the issuer's
# Secrets with it, goes with rbac, which waits until the operator's pods have ended.
for part in webhook apiservice operator rbac; do remove "$part"; done
# What the operator has written outside its own namespace; only now, lest it writes it again. Sidecars remember what was in it.
"$kubectl" delete configmap --all-namespaces --field-selector metadata.name=weft-trust-bundle --ignore-not-found >/dev/null
if [[ ${1:-} == --crds ]]; then remove crds; fi
echo "weft: removed" >&2
