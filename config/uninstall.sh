#!/bin/bash
# Removes Weft from the cluster of $KUBECTL. `--crds` removes the kinds and with them every object of theirs; without it the objects
# stay, to be read and written in the stored version only, until Weft is back to convert them.
# Pods keep their sidecars until they are made anew: with the issuer's key gone, for as long as their certificates are valid.
# An operator that is installed later makes another root. A sidecar that lives on finds it in its namespace's ConfigMap, which the
# kubelet brings it within two minutes or so; until then it and pods that are made anew do not believe each other. To have no such
# time, restart the meshed workloads: after this to be rid of the sidecars, or after the next install to have new ones.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubectl=${KUBECTL:-kubectl}
remove() { "$kubectl" delete --ignore-not-found --wait -k "$here/$1" >/dev/null; }

# To delete a kind the API server reads its objects, and those that are stored in an older version it converts for that. It must not
# need the operator for what goes away anyhow: from here on nothing is converted.
unconvert() {
  local definition
  for definition in $("$kubectl" get --ignore-not-found -f <("$kubectl" kustomize "$here/crds") -o name); do
    "$kubectl" patch "$definition" --type=merge -p '{"spec":{"conversion":{"strategy":"None","webhook":null}}}' >/dev/null
  done
}
# Of objects that are stored in an older version nothing is readable without the operator.
warn_of_old_objects() {
  local stored
  stored=$("$kubectl" get crd -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.spec.group}{" "}{.status.storedVersions[*]}{"\n"}{end}' |
    awk '$2 ~ /^(access|specs|split)\.smi-spec\.io$/ && ($3 != "v1alpha4" || NF > 3) { print $1 }')
  [[ -n $stored ]] || return 0
  echo "weft: objects of these kinds may be stored in older versions, and then nobody can read them without Weft:" $stored >&2
  echo "weft: if they are to stay, install it again and run 'weft migrate-storage' before it is removed" >&2
}

# The webhooks first: without the operator behind them no pod of a meshed namespace could be made.
if [[ ${1:-} != --crds ]]; then warn_of_old_objects; fi
# The namespace, and the issuer's Secrets with it, goes with rbac, which waits until the operator's pods have ended.
for part in webhook apiservice operator rbac; do remove "$part"; done
# What the operator has written outside its own namespace; only now, lest it writes it again. Sidecars remember what was in it.
"$kubectl" delete configmap --all-namespaces --field-selector metadata.name=weft-trust-bundle --ignore-not-found >/dev/null
if [[ ${1:-} == --crds ]]; then
  unconvert
  remove crds
fi
echo "weft: removed" >&2
