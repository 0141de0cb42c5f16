#!/usr/bin/env bash
# Prove that an environment is what was released: smoke.sh ENV WHEEL
# Sets the output variable `release` to `broken` if a check did not hold. Where the workspace could not be asked, nothing
# is known of the release: the step fails and the variable is not set, so nobody goes back because of a lost connection.
set -euo pipefail
cd "$(dirname "$0")/.."
code=0
.venv/bin/python -m pipelines smoke --env "$1" --remote --wheel "$2" || code=$?
[[ $code -ne 1 ]] || echo "##vso[task.setvariable variable=release;isOutput=true]broken"
exit "$code"
