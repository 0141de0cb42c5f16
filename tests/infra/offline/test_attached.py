"""The provider processes that Terraform attaches to are shared, restarted, and end with their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.offline.attached import ProviderError, reattachment

ROOT = Path(__file__).parents[3]
ADDRESS = "registry.terraform.io/databricks/databricks"


def schemas(folder: Path, version: str = "1") -> Path:
    """Write the schemas of a provider without resources."""
    nothing = {"version": 0, "block": {"attributes": {}, "block_types": {}}}
    file = folder / f"databricks_{version}.json"
    file.write_text(json.dumps({"version": version, "provider": nothing, "resources": {}, "data_sources": {}}))
    return file


def pid(file: Path) -> int:
    """Return the process that serves these schemas."""
    return int(json.loads(reattachment({ADDRESS: file}))[ADDRESS]["Pid"])


def runs(process: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return (
            not Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0].startswith("Z")
        )
    except OSError:
        return False


def test_the_same_schemas_share_a_process_and_others_have_their_own(tmp_path: Path) -> None:
    """Files with the same content share a process, also from two folders; other content gets another process."""
    (tmp_path / "again").mkdir()
    first = pid(schemas(tmp_path))
    assert pid(schemas(tmp_path / "again")) == first
    assert pid(schemas(tmp_path, version="2")) != first


def test_a_process_that_has_ended_is_started_again(tmp_path: Path) -> None:
    """After the process was killed, Terraform gets the address of a new one that runs."""
    file = schemas(tmp_path, version="3")
    first = pid(file)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    second = pid(file)
    assert second != first
    assert runs(second)


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("killed", [False, True])
def test_a_provider_ends_with_the_process_that_started_it(tmp_path: Path, killed: bool) -> None:
    """The provider ends when the process that started it exits, and also when that process is killed."""
    program = (
        "import json, sys, time; from pathlib import Path; from infra.offline.attached import reattachment\n"
        f"print(json.loads(reattachment({{'a/b/c': Path({str(schemas(tmp_path))!r})}}))['a/b/c']['Pid'], flush=True)\n"
        + ("time.sleep(60)" if killed else "")
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        provider = int(starter.stdout.readline() if starter.stdout else "")
        if killed:
            assert runs(provider)
            starter.kill()
    deadline = time.monotonic() + 30
    while runs(provider) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(provider)


def test_a_provider_that_does_not_start_raises_an_error_with_its_last_output(tmp_path: Path) -> None:
    """The error names the provider and the last line that it printed."""
    file = tmp_path / "databricks.json"
    file.write_text("no schemas")
    with pytest.raises(
        ProviderError, match=r"the generic provider for databricks did not start: json.*JSONDecodeError"
    ):
        reattachment({ADDRESS: file})


def test_a_provider_runs_on_for_a_program_that_outlives_its_parent(tmp_path: Path) -> None:
    """Terraform finishes what it has begun after the process that started both was killed."""
    starter = f"""
import json, os, signal, subprocess, sys
from infra.offline.attached import reattachment, until_closed
from pathlib import Path
found = json.loads(reattachment({{{ADDRESS!r}: Path({str(schemas(tmp_path, version="4"))!r})}}))
nowhere = {{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}}
held = subprocess.Popen(["sleep", "60"], pass_fds=until_closed(), start_new_session=True, **nowhere)
print(found[{ADDRESS!r}]["Pid"], held.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", starter], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    provider, holder = map(int, done.stdout.split())
    time.sleep(0.5)
    assert runs(provider)
    os.kill(holder, signal.SIGKILL)
    ends = time.monotonic() + 20
    while runs(provider):
        assert time.monotonic() < ends
        time.sleep(0.05)
