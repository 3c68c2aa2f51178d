#!/bin/bash
# Installs the Weft whose programs are in $BINARIES by the manifests in the folder CONFIG, unless given this checkout's: `install.sh [CONFIG]`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for name in weft-operator weft-proxy; do "$here/../node/image.sh" "$name" "$BINARIES/$name"; done
"${1:-$here/../../config}/install.sh"
