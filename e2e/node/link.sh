#!/bin/bash
# Pulls or plugs the cable between node K, which has joined, and node 1: `link.sh K up|down`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
[[ $# == 2 && $2 =~ ^(up|down)$ ]] || fail "usage: link.sh K up|down"
[[ $1 != 1 ]] || fail "node 1 is where all cables end: name the other node"
use_node "$1"
enter ip link set to-node-1 "$2"
