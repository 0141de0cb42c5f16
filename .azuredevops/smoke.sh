#!/usr/bin/env bash
# Prove that an environment is what was released: smoke.sh ENV WHEEL
# Sets the output variable `release`: proven, broken if a check did not hold, or unknown where the workspace could not be
# asked. Then the step fails as well, but nobody goes back to an earlier release because of a lost connection.
set -euo pipefail
cd "$(dirname "$0")/.."
code=0
.venv/bin/python -m pipelines smoke --env "$1" --remote --wheel "$2" || code=$?
case $code in 0) release=proven ;; 1) release=broken ;; *) release=unknown ;; esac
echo "##vso[task.setvariable variable=release;isOutput=true]$release"
exit "$code"
