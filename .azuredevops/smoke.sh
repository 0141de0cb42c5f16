#!/usr/bin/env bash
# Prove that an environment is what was released: smoke.sh ENV WHEEL, where WHEEL is `none` for a release without one.
# Sets the output variable `release`: proven, broken if a check did not hold, or unknown where nobody could look, for
# whatever reason. Then the step fails as well, but nobody goes back to an earlier release because of a lost connection.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1 expected=()
[[ $2 == none ]] || expected=(--wheel "$2")
code=0
.venv/bin/python -m pipelines smoke --env "$environment" --remote "${expected[@]}" || code=$?
case $code in 0) release=proven ;; 4) release=broken ;; *) release=unknown ;; esac
if [[ $release == broken && $2 == none ]]; then
  echo "error: this release moved no wheel and no job, so there is nothing to go back to: repair it and release again." >&2
fi
echo "##vso[task.setvariable variable=release;isOutput=true]$release"
exit "$code"
