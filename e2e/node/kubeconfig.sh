#!/bin/bash
# Prints the path of the administrator's kubeconfig: `export KUBECONFIG=$(kubeconfig.sh)`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_node 1
node_pid >/dev/null || fail "there is no cluster: start it with up.sh"
echo "$admin.kubeconfig"
