#!/bin/bash
# Prints the folder with kubectl and the other programs: of the running cluster, else of the next one.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
programs
