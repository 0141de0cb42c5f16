"""``python -m infra cloud`` serves, says how it is reached, and leaves no token behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError

from infra.build.release import ROOT
from infra.emulated_cloud.calls import Attempt
from infra.emulated_cloud.prepared import new_cloud
from infra.emulated_cloud.world import Site
from tests.documented_commands import lines_of
from tests.infra.emulated_cloud.attempts import perform

LINES = [line for _, line in lines_of("tests/infra/emulated_cloud/test_command.py")]
BY_MAKE = next(line for line in LINES if line.startswith("make "))


@contextmanager
def started(
    folder: Path, line: str = ".venv/bin/python -m infra cloud"
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start the command; give its process and the lines it prints first."""
    arguments = [sys.executable, *line.split()[1:], "--folder", str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line.rstrip())
            if "HTTPS_PROXY" in line:
                break
        try:
            yield process, printed
        finally:
            process.kill()


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """With the printed lines a shell holds the token of dev's principal; after Ctrl-C no token is left.

    The lines work as they are printed: on a machine without a program `python`, and in a folder whose name has blanks and quotes.
    """
    folder = tmp_path / "mein Büro's cloud"
    with started(folder) as (process, printed):
        tokens = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
        token = tokens["identities"]["dev"]["token"]
        exports = [line.strip() for line in printed if line.startswith("  export ")]
        names = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "HTTPS_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
        shown = subprocess.run(
            ["/bin/sh", "-c", "\n".join([*exports, *(f'printf "%s\\n" "${name}"' for name in names)])],
            capture_output=True, text=True, check=True, env={"PATH": ""},
        ).stdout.splitlines()  # fmt: skip
        authority = str(folder / "authority.pem")
        assert shown == [tokens["hosts"]["dev"], token, tokens["proxy"], authority, authority]
        me = WorkspaceClient(host=shown[0], token=shown[1], auth_type="pat").current_user.me()
        assert me.user_name == tokens["identities"]["dev"]["principal"]
        assert not any(token in line for line in printed)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read().startswith("ended: nothing of this cloud is kept")
        assert process.stderr.read() == ""
    assert not (folder / "tokens.json").exists()


@pytest.mark.proof
def test_the_documented_command_serves_a_cloud_without_a_workspace(tmp_path: Path) -> None:
    """With the words of the page: nobody is anybody in a workspace yet."""
    (line,) = (line for line in LINES if line != BY_MAKE)
    with started(tmp_path, line):
        tokens = json.loads((tmp_path / "tokens.json").read_text(encoding="utf-8"))
        client = WorkspaceClient(
            host=tokens["hosts"]["dev"], token=tokens["identities"]["person"]["token"], auth_type="pat"
        )
        with pytest.raises(DatabricksError):
            client.current_user.me()


@pytest.mark.proof
def test_make_serves_the_cloud_and_leaves_no_token_behind(tmp_path: Path) -> None:
    """In a clone whose packages are installed, as they are here, until Ctrl-C."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    (clone / ".venv").symlink_to((ROOT / ".venv").resolve())
    words = [*BY_MAKE.split(), "--old-file", ".venv/.run"]  # nothing is installed
    with subprocess.Popen(words, cwd=clone, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert any("HTTPS_PROXY" in line for line in process.stdout)
        assert (clone / "build" / "cloud" / "tokens.json").exists()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    assert not (clone / "build" / "cloud" / "tokens.json").exists()


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_an_empty_cloud_has_no_workspace_until_azure_makes_it(name: str) -> None:
    """A first deployment begins with an account and subscriptions; the first workspace that is created is dev's."""
    cloud = new_cloud(Site(prepared=False))
    me = Attempt(who=name, request=f"GET {name}/api/2.0/preview/scim/v2/Me")
    assert perform(cloud, me).status == 404
    group = f"azure/subscriptions/{dict(cloud.world.site.subscriptions)['dev']}/resourceGroups/rg"
    perform(cloud, Attempt(who="person", request=f"PUT {group}", body={"location": "westeurope"}))
    path = f"{group}/providers/Microsoft.Databricks/workspaces/first"
    made = perform(
        cloud, Attempt(who="person", request=f"PUT {path}", body={"location": "westeurope", "properties": {}})
    )
    assert made.body["properties"]["workspaceId"] == dict(cloud.world.site.workspaces)["dev"]
    assert perform(cloud, me).status == (403 if name == "dev" else 404), "it exists, and nobody is in it yet"
