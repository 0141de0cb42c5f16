#!/usr/bin/env bash
# Plan an environment's stacks, keep the plan and apply exactly it: deploy.sh ENV STACK[,STACK ...] [OPTION ...]
# A stack that waits for new outputs of another (exit code 3 of `apply`) gets a plan of its own in the next round.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1 stacks=$2
shift 2
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
for round in 1 2; do
  kept=build/plans/$environment-$round
  rm -rf "$kept"
  .venv/bin/python -m infra plan "$environment" --only "$stacks" --keep "$kept" "$@" | tee "$printed" >&2
  code=0
  .venv/bin/python -m infra apply "$environment" --plan "$kept" \
    --sha256 "$(sed -n 's/^sha256 //p' "$printed")" --maximum-age 1h "$@" || code=$?
  [[ $code -eq 3 ]] || exit "$code"
done
echo "error: a stack of $environment still waits for outputs of another after two rounds." >&2
exit 3
