#!/bin/bash
# Runs a command inside node K, in all its namespaces: `enter.sh K COMMAND...`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
(($# > 1)) || fail "usage: enter.sh K COMMAND..."
use_node "$1"
enter "${@:2}"
