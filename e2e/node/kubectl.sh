#!/bin/bash
# kubectl of the cluster, as administrator: `kubectl.sh ARGUMENT...`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
KUBECONFIG=$("$here/kubeconfig.sh")
export KUBECONFIG KUBECACHEDIR=$base/1/kubectl   # not in the home folder
exec "$base/1/programs/kubectl" "$@"
