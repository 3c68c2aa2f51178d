#!/bin/bash
# Signals a daemon of node K: `kill.sh K PROGRAM [SIGNAL]`. Unless the signal is STOP or CONT, waits until it is back.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
[[ $# == [23] ]] || fail "usage: kill.sh K PROGRAM [SIGNAL]; programs: $daemons"
program=$2 signal=${3:-KILL}
use_node "$1"
[[ " $daemons " == *" $program "* ]] || fail "no such program: $program; there are: $daemons"
init=$(node_pid) || fail "$node does not run: start it with up.sh"

find_pid() { # among the daemons of this node, never among the processes of the machine
  local pid argument
  while read -r pid; do
    IFS= read -rd '' argument 2>/dev/null <"/proc/$pid/cmdline" || continue
    if [[ ${argument##*/} == "$program" && /proc/$pid/ns/pid -ef /proc/$init/ns/pid ]]; then
      echo "$pid"
      return
    fi
  done <"$(hierarchies | head -1)/$group/daemons/cgroup.procs"
  return 1
}
victim=$(find_pid) || fail "$program does not run on $node"
kill -s "$signal" "$victim"
[[ ! $signal =~ ^(SIG)?(STOP|CONT)$ ]] || exit 0
replaced() { local now; now=$(find_pid) && [[ $now != "$victim" ]] && answers "$program"; }
wait_for 60 "the return of $program" replaced
