#!/usr/bin/env bash
# See that Terraform is there: the image ubuntu-22.04 has it (24.04 has none), and an agent of one's own needs it too.
set -euo pipefail
oldest=1.11
remedy="use the image ubuntu-22.04, or install version $oldest or newer on it."
command -v terraform >/dev/null || { echo "error: this agent has no Terraform: $remedy" >&2; exit 1; }
terraform version
found=$(terraform version | sed -n 's/^Terraform v\([0-9.]*\).*/\1/p')
[[ $(printf '%s\n' "$oldest" "$found" | sort -V | sed -n 1p) == "$oldest" ]] ||
  { echo "error: this agent has Terraform $found: $remedy" >&2; exit 1; }
