"""A cloud whose things take their time: a provider that makes each thing first and answers later, as real services do.

What was really made is a file per thing in a folder, so that a state can be compared with it. Terraform attaches to the
provider, which lives on when Terraform or the process that started it is killed: ``python -m
benchmarks.simulation.slow_cloud FOLDER SECONDS``.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.offline import values
from infra.offline.provider import GenericProvider, serve

SOURCE = "example.com/simulated/cloud"
THING = "cloud_thing"
_ID = {"id": {"type": "string", "computed": True}, "name": {"type": "string", "required": True}}
SCHEMAS: Mapping[str, Any] = {
    "provider": {"version": 0, "block": {}},
    "resources": {THING: {"version": 0, "block": {"attributes": _ID}}},
    "data_sources": {},
}


class SlowProvider(GenericProvider):
    """Makes a file per thing, waits, and answers."""

    def __init__(self, folder: Path, seconds: float) -> None:
        super().__init__(SCHEMAS)
        self._folder, self._seconds = folder, seconds

    def apply(self, request: Any) -> Any:
        """Make or remove the thing at once; the answer takes its time."""
        before, after = values.decode(request.prior_state.msgpack), values.decode(request.planned_state.msgpack)
        if before is not None and after is None:
            (self._folder / before["name"]).unlink()
        if after is not None:
            (self._folder / after["name"]).touch()
        time.sleep(self._seconds)
        return super().apply(request)


@contextmanager
def slow_cloud(folder: Path, seconds: float) -> Iterator[dict[str, str]]:
    """Run the provider and yield the environment of a Terraform that attaches to it.

    Parameters
    ----------
    folder
        Where the things are made.
    seconds
        How long each takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder.with_name(f"{folder.name}.rc")
    configuration.write_text("disable_checkpoint = true\nprovider_installation {}\n", encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.simulation.slow_cloud", str(folder), str(seconds)]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the provider has no pipes")
        where = {
            "Protocol": "grpc", "ProtocolVersion": 6, "Pid": process.pid, "Test": True,
            "Addr": {"Network": "unix", "String": process.stdout.readline().strip()},
        }  # fmt: skip
        try:
            yield {
                **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
                "TF_REATTACH_PROVIDERS": json.dumps({SOURCE: where}),
                "TF_CLI_CONFIG_FILE": str(configuration),
                "CHECKPOINT_DISABLE": "1",
            }
        finally:
            process.stdin.close()


if __name__ == "__main__":
    serve(SlowProvider(Path(sys.argv[1]), float(sys.argv[2])))
