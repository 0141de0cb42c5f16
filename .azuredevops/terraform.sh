#!/usr/bin/env bash
# Install Terraform where it is missing (the image ubuntu-24.04 has none), from HashiCorp's packages for Debian and Ubuntu.
set -euo pipefail
if ! command -v terraform >/dev/null; then
  fingerprint=798AEC654E5C15428C8E42EEAA16FCBCA621E701
  keyring=/usr/share/keyrings/hashicorp.gpg
  curl --fail --silent --show-error https://apt.releases.hashicorp.com/gpg | gpg --dearmor | sudo tee "$keyring" >/dev/null
  gpg --show-keys --with-colons "$keyring" | grep -q "^fpr:*$fingerprint:" ||
    { echo "error: the key of apt.releases.hashicorp.com is not $fingerprint." >&2; exit 1; }
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  echo "deb [signed-by=$keyring] https://apt.releases.hashicorp.com $release main" |
    sudo tee /etc/apt/sources.list.d/hashicorp.list >/dev/null
  sudo apt-get update --quiet
  sudo apt-get install --quiet --yes terraform
fi
terraform version
