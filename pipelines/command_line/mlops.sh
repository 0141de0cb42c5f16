#!/bin/sh
# The short command of this repository; `make` copies it to .venv/bin/mlops.
here=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
exec "$here/.venv/bin/python" -c 'from pipelines.command_line.interrupts import end_on_interrupt; end_on_interrupt()
from pipelines.__main__ import mlops; mlops()' "$@"
