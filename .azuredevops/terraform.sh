#!/usr/bin/env bash
# Put exactly this Terraform on the path of the later steps: it is downloaded and held to its hash, because the images of
# agents have another one or none. TERRAFORM_MIRROR names a place of one's own with the same folders.
set -euo pipefail
version=1.11.4
sha256=1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc
from=${TERRAFORM_MIRROR:-https://releases.hashicorp.com/terraform}
folder=${AGENT_TEMPDIRECTORY:?is where an agent keeps the files of a job}/terraform-$version
archive=$folder/terraform.zip
[[ $(uname -sm) == "Linux x86_64" ]] || { echo "error: the pinned Terraform is for Linux on x86_64, not $(uname -sm)." >&2; exit 1; }
mkdir -p "$folder"
curl --fail --silent --show-error --location --retry 3 --output "$archive" "$from/$version/terraform_${version}_linux_amd64.zip" ||
  { echo "error: Terraform $version cannot be loaded from $from: see the network rules, or name a TERRAFORM_MIRROR." >&2; exit 1; }
echo "$sha256  $archive" | sha256sum --check --status ||
  { echo "error: the file from $from is not the Terraform $version that is pinned: its sha256 is another one." >&2; exit 1; }
python3 -m zipfile -e "$archive" "$folder"
chmod +x "$folder/terraform"
"$folder/terraform" version
echo "##vso[task.prependpath]$folder"
