#!/bin/bash
# Feeds each target for a while with what it has not seen: `run.sh [TARGET...]`; needs a nightly compiler.
#
# FUZZ_SECONDS  time for each target, 60 unless it says otherwise
#
# What was found new stays in target/found. A crash ends it, and its bytes lie in artifacts: once it is mended they belong into
# the corpus, where a test replays them.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v c++ >/dev/null; then
  apt-get update -qq >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends g++ >/dev/null
fi
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
(($#)) || set -- configuration detection request
for target; do
  mkdir -p "target/found/$target"
  # Nothing that is read at one go is longer than a head may be.
  cargo +nightly fuzz run --fuzz-dir . "$target" "target/found/$target" "corpus/$target" -- \
    -max_total_time="${FUZZ_SECONDS:-60}" -max_len=8192 -timeout=10 -print_final_stats=1 -verbosity=0
done
