#!/usr/bin/env bash
# Put the artifact of the last attempt in its place: newest.sh FOLDER PLACE, where FOLDER holds NAME-1, NAME-2 and so on.
# An artifact cannot be published twice, so a job that is run again publishes under the number of its attempt.
set -euo pipefail
folder=$1 place=$2
last=$(find "$folder" -mindepth 1 -maxdepth 1 -type d -name '*-[0-9]*' -printf '%f\n' 2>/dev/null | sort -V | tail -n 1 || true)
[[ -n $last ]] || { echo "error: $folder holds the artifact of no attempt." >&2; exit 1; }
rm -rf "$place"
mkdir -p "$(dirname "$place")"
mv "$folder/$last" "$place"
echo "$last"
