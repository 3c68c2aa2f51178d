#!/bin/bash
# Upgrades from the version that e2e/upgrade/from names, or FROM=REVISION, to this checkout, under load; $BINARIES has what is to be
# upgraded to. All of Weft in the cluster, and all SMI objects, are removed first; afterwards this checkout is installed, however it ends.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
if [[ ${WEFT_CLUSTER:-local} != local ]]; then
  echo "test-upgrade needs the local cluster, whose images it replaces and whose SMI objects it removes, and WEFT_CLUSTER=$WEFT_CLUSTER" >&2
  exit 1
fi
before=$("$here/build.sh")
if [[ -z ${FROM:-} ]] && ! diff -r "$before/config/crds" "$here/crds"; then
  echo "e2e/upgrade/crds has other definitions than the revision in e2e/upgrade/from: copy its config/crds there" >&2
  exit 1
fi
test=(--workspace --features e2e/cluster --test upgrade)
cargo build "${test[@]}"   # all the building first, lest the cluster is without Weft meanwhile

trap '(($? == 0)) || "$here/install.sh"' EXIT
"$root/config/uninstall.sh" --crds
BINARIES=$before/programs "$here/install.sh" "$before/config"
cargo test "${test[@]}" -- --nocapture
