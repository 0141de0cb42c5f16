#!/usr/bin/env bash
# Run a command and set what it prints as `NAME value` as output variables of the step:
# output.sh NAME[,NAME ...] COMMAND
set -euo pipefail
IFS=, read -ra names <<<"$1"
shift
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
# Not `tee /dev/stderr`: an agent's tasks run in Node, which gives them sockets, and a socket cannot be opened again.
"$@" | tee "$printed" >&2
for name in "${names[@]}"; do
  value=$(sed -n "s/^$name //p" "$printed")
  [[ -n $value ]] || { echo "error: '$*' printed no line that begins with '$name '." >&2; exit 1; }
  echo "##vso[task.setvariable variable=$name;isOutput=true]$value"
done
