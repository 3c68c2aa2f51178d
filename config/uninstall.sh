#!/bin/bash
# Removes Weft from the cluster of $KUBECTL. `--crds` removes the kinds and with them every object of theirs.
# Pods keep their sidecars until they are made anew, and such a sidecar does not trust an operator that is installed later:
# restart the meshed workloads after either.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubectl=${KUBECTL:-kubectl}
remove() { "$kubectl" delete --ignore-not-found --wait -k "$here/$1" >/dev/null; }

# The webhook first: without the operator behind it no pod of a meshed namespace could be made.
for part in webhook apiservice operator rbac; do remove "$part"; done
# What the operator has written outside its own namespace.
"$kubectl" delete configmap --all-namespaces --field-selector metadata.name=weft-trust-bundle --ignore-not-found >/dev/null
if [[ ${1:-} == --crds ]]; then remove crds; fi
echo "weft: removed" >&2
