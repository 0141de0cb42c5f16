#!/usr/bin/env bash
# Installs what development and the build agents need on a bare Debian or Ubuntu of x86_64, as root: Python 3.12 (that of the
# runtime), a JDK 17 for Spark on the JVM, Terraform, the command lines of Azure and Databricks. Each download is held to its hash.
#
# DOWNLOAD_MIRROR names a place of one's own that holds the same files by name; TERRAFORM_MIRROR is read by terraform.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ $(uname -sm) == "Linux x86_64" ]] || { echo "error: the pinned programs are for Linux on x86_64, not $(uname -sm)." >&2; exit 1; }
[[ $(id -u) == 0 ]] || { echo "error: the installation writes to /opt and /usr/local: run it as root." >&2; exit 1; }

python_version=3.12.13
python_sha256=ddd48f521f79395d9b8b094d34a86d7ec86772ab66c96b0de65a3b561ea7cf10
python_from=https://github.com/astral-sh/python-build-standalone/releases/download/20260408/cpython-3.12.13%2B20260408-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz
jdk_sha256=be7668bc030d578b83d6d5ef9221d6d6729bbbca8cf94a7d52e16ac68b5a5a35
jdk_from=https://github.com/adoptium/temurin17-binaries/releases/download/jdk-17.0.20%2B8/OpenJDK17U-jdk_x64_linux_hotspot_17.0.20_8.tar.gz
databricks_sha256=10938da31db7f89e6e90f6be41d340e3387231e5da5125cfc97ecb8cb66f6394
databricks_from=https://github.com/databricks/cli/releases/download/v1.9.0/databricks_cli_1.9.0_linux_amd64.zip

# Where UsePythonVersion looks on an agent of one's own, and where the rest goes.
python=${AGENT_TOOLSDIRECTORY:-/opt/hostedtoolcache}/Python/$python_version/x64
tools=/opt/tools
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT

# The file of an address, held to its hash: fetch SHA256 ADDRESS FILE
fetch() {
  local from=$2
  [[ -z ${DOWNLOAD_MIRROR:-} ]] || from=$DOWNLOAD_MIRROR/${2##*/}
  curl --fail --silent --show-error --location --retry 3 --output "$3" "$from" ||
    { echo "error: $from cannot be loaded: see the network rules, or name a DOWNLOAD_MIRROR." >&2; exit 1; }
  echo "$1  $3" | sha256sum --check --status ||
    { echo "error: the file from $from is not the pinned one: its sha256 is another one." >&2; exit 1; }
}

echo "system packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends ca-certificates curl git libatomic1 libgomp1 make openssh-client >/dev/null

echo "Python $python_version"
fetch "$python_sha256" "$python_from" "$downloads/python.tar.gz"
rm -rf "$python" && mkdir -p "$python"
tar --extract --file "$downloads/python.tar.gz" --directory "$python" --strip-components 1 --no-same-owner
touch "$python.complete"
ln -sf "$python/bin/python3.12" /usr/local/bin/python3.12
ln -sf python3.12 /usr/local/bin/python3

echo "JDK 17"
fetch "$jdk_sha256" "$jdk_from" "$downloads/jdk.tar.gz"
rm -rf "$tools/jdk-17" && mkdir -p "$tools/jdk-17"
tar --extract --file "$downloads/jdk.tar.gz" --directory "$tools/jdk-17" --strip-components 1 --no-same-owner
ln -sf "$tools/jdk-17/bin/java" /usr/local/bin/java

echo "Terraform"
AGENT_TEMPDIRECTORY=$tools bash .azuredevops/terraform.sh >/dev/null
ln -sf "$tools"/terraform-*/terraform /usr/local/bin/terraform

echo "command line of Databricks"
fetch "$databricks_sha256" "$databricks_from" "$downloads/databricks.zip"
python3.12 -m zipfile --extract "$downloads/databricks.zip" "$downloads/databricks"
install -m 755 "$downloads/databricks/databricks" /usr/local/bin/databricks

echo "command line of Azure, $(grep -c '^[a-z].*==' requirements/az.txt) packages, each with its hash"
if ! cmp --silent requirements/az.txt "$tools/az/installed.txt"; then
  rm -rf "$tools/az" && python3.12 -m venv "$tools/az"
  "$tools/az/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r requirements/az.txt
  cp requirements/az.txt "$tools/az/installed.txt"
fi
ln -sf "$tools/az/bin/az" /usr/local/bin/az

# What the tasks JavaToolInstaller and Spark look for; an image states the same (Dockerfile).
grep -qs JAVA_HOME_17_X64 /etc/environment || printf 'JAVA_HOME=%s\nJAVA_HOME_17_X64=%s\n' "$tools/jdk-17" "$tools/jdk-17" >>/etc/environment
echo "installed: python3.12, java, terraform, databricks, az"
