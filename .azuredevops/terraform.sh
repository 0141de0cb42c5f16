#!/usr/bin/env bash
# See that Terraform is there: the image ubuntu-22.04 has it (24.04 has none), and an agent of one's own needs it too.
set -euo pipefail
command -v terraform >/dev/null ||
  { echo "error: this agent has no Terraform: use the image ubuntu-22.04, or install version 1.11 or newer on it." >&2; exit 1; }
terraform version
