"""What is synthesized: addresses that stay, providers named, the same JSON from every way of synthesizing."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.build.release import ROOT
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.description.describe import addresses, read_synthesized
from infra.synthesis.cdktf_seam import render, synthesize
from infra.synthesis.parallel_rendering import processes_for, render_in_parts, split
from infra.synthesis.stack import RemoteState, Stack

GOLDEN = Path(__file__).parent / "golden"
Synthesized = Mapping[str, Mapping[str, Any]]


def test_no_address_is_lost(synthesized: Synthesized) -> None:
    """A resource whose address changes is destroyed and re-created: change the golden list deliberately, with a `moved`.

    To write the lists again: REWRITE_GOLDEN=1 pytest tests/infra/stacks/test_synthesis.py
    """
    for name, content in synthesized.items():
        path = GOLDEN / f"{name}.txt"
        text = "".join(f"{address}\n" for address in addresses(content))
        if os.environ.get("REWRITE_GOLDEN"):
            path.write_text(text, encoding="utf-8")
        assert text.splitlines() == path.read_text(encoding="utf-8").splitlines(), f"addresses of {name} changed"
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(synthesized)


def test_the_json_has_the_addresses_of_the_stacks(synthesized: Synthesized, estate: Mapping[str, Stack]) -> None:
    """No hash is appended and nothing is renamed on the way."""
    for name, stack in estate.items():
        assert set(addresses(synthesized[name])) == {r.address for r in stack.resources.values() if not r.is_data}


def test_every_resource_names_its_provider(synthesized: Synthesized) -> None:
    """Beside aliased providers, a forgotten one would be configured from environment variables."""
    for name, content in synthesized.items():
        aliases = {f"{kind}.{p['alias']}" for kind, found in content["provider"].items() for p in found}
        for kind in ("resource", "data"):
            for type_, found in content.get(kind, {}).items():
                for label, arguments in found.items():
                    if type_ != "terraform_remote_state":
                        assert arguments.get("provider") in aliases, f"{name}, {type_}.{label}"


def test_provider_sources_are_written_in_full(synthesized: Synthesized) -> None:
    """The short form is ambiguous for OpenTofu."""
    for content in synthesized.values():
        for kind, required in content["terraform"]["required_providers"].items():
            assert required["source"] == {"databricks": "databricks/databricks"}.get(kind, f"hashicorp/{kind}")


def test_nothing_of_this_machine_is_in_the_json(synthesized: Synthesized) -> None:
    """The same commit gives the same text on every machine."""
    text = json.dumps(synthesized)
    assert f"{ROOT}/" not in text
    assert f"{Path.home()}/" not in text


def test_stacks_are_deployed_after_what_they_read(synthesized: Synthesized, estate: Mapping[str, Stack]) -> None:
    """The order is in the manifest, by which the cdktf command line deploys."""
    for name, content in synthesized.items():
        states = content.get("data", {}).get("terraform_remote_state", {})
        assert {other.replace("_", "-") for other in states} == set(estate[name].read)
        for other, state in states.items():
            backend = synthesized[other.replace("_", "-")]["terraform"]["backend"]
            assert state["backend"] in backend
            assert state["config"] == backend[state["backend"]]


def test_outputs_between_stacks_are_not_secret_and_exist(synthesized: Synthesized, estate: Mapping[str, Stack]) -> None:
    """Every output that is read is offered, by name, without the sensitivity of cdktf's own references."""
    for name, stack in estate.items():
        offered = synthesized[name].get("output", {})
        assert set(offered) == set(stack.outputs)
        assert not any(output.get("sensitive") for output in offered.values())
        assert "cross-stack-output" not in json.dumps(synthesized[name])


@pytest.mark.parametrize(
    ("type_", "arguments", "said"),
    [
        ("databricks_catalog", {"nam": "x"}, "Catalog has no argument nam"),
        ("databricks_catalogue", {}, "no catalogue.Catalogue"),
        ("databricks_job", {"task": [{"task_key": "a", "condition_task": {"op": "EQUAL_TO"}}]}, "left"),
        ("databricks_sql_endpoint", {"name": "x", "cluster_size": "Small", "auto_stop_mins": "ten"}, "auto_stop_mins"),
    ],
    ids=["an unknown argument", "an unknown type", "a missing inner argument", "a wrong type"],
)
def test_an_argument_that_the_provider_does_not_take_stops_the_synthesis(
    type_: str, arguments: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """At every depth, before anything is written."""
    stack = Stack(name="account", description="", state=RemoteState(stack="account", azure=None))
    provider = stack.provider("databricks", "account", host="https://example")
    stack.add(type_, "x", provider=provider, **arguments)
    with pytest.raises(TypeError, match=said):
        synthesize([stack], tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_wrong_settings_synthesize_nothing(folder: Any, tmp_path: Path) -> None:
    """The command line reports every mistake, writes no file and ends with exit code 2; a region is also held to a ceiling."""
    folder.change("dev", ("budget", "monthly"), -1)
    folder.change("prod", ("region",), "moon")
    done = synth_process(tmp_path, "--settings", str(folder.path))
    assert done.returncode == 2
    assert "the settings have 3 mistakes; nothing was synthesized" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_line_writes_what_the_library_writes(synthesized: Synthesized, tmp_path: Path) -> None:
    """`python -m infra synth`, as the cdktf command line starts it; only the release differs from the fixture's."""
    done = synth_process(tmp_path)
    assert done.returncode == 0, done.stderr
    written = read_synthesized(tmp_path / "out")
    assert {name: addresses(content) for name, content in written.items()} == {
        name: addresses(content) for name, content in synthesized.items()
    }


@pytest.mark.skipif(not (ROOT / "node_modules/.bin/cdktf").exists(), reason="cdktf-cli is not installed: npm ci")
def test_the_cdktf_command_line_gives_the_same_json(tmp_path: Path) -> None:
    """`npx cdktf synth` through cdktf.json and `python -m infra synth` write the same files."""
    environment = {**os.environ, "CI": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    command = ["npx", "cdktf", "synth", "--output", str(tmp_path / "cli")]
    subprocess.run(command, cwd=ROOT, check=True, env=environment, capture_output=True)
    assert synth_process(tmp_path).returncode == 0
    assert normalised(tmp_path / "cli") == normalised(tmp_path / "out")


CDKTN = ROOT / ".venv-cdktn" / "bin" / "python"


@pytest.mark.skipif(not CDKTN.exists(), reason="CDK Terrain is not installed in .venv-cdktn")
def test_cdk_terrain_gives_the_same_json(tmp_path: Path) -> None:
    """The continuation of cdktf, with bindings of the same generation: nothing but versions differs."""
    assert synth_process(tmp_path).returncode == 0
    own = normalised(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "cdktf")
    done = synth_process(tmp_path, python=CDKTN)
    assert done.returncode == 0, done.stderr
    assert normalised(tmp_path / "out") == own


@pytest.mark.proof
def test_a_large_estate_rendered_in_parts_is_the_same(
    synthesized: Synthesized, estate: Mapping[str, Stack], tmp_path: Path
) -> None:
    """Two processes write what one writes, with the dependencies between their parts."""
    names = ("account", "dev-platform", "prod-platform", "dev-account", "dev-workspace")
    some = [estate[name] for name in names]
    one, parts = tmp_path / "one", tmp_path / "parts"
    render(some, one)
    render_in_parts(some, parts, render, 2)
    assert read_synthesized(parts) == read_synthesized(one) == {stack.name: synthesized[stack.name] for stack in some}
    manifests = [json.loads((folder / "manifest.json").read_text(encoding="utf-8")) for folder in (one, parts)]
    assert manifests[0] == manifests[1]
    assert {path.name for path in parts.iterdir()} == {"manifest.json", "stacks"}


def test_parts_share_the_work(estate: Mapping[str, Stack]) -> None:
    """Every stack once, and no part much larger than another."""
    parts = split(list(estate.values()), 3)
    assert sorted(stack.name for part in parts for stack in part) == sorted(estate)
    sizes = [sum(len(stack.resources) for stack in part) for part in parts]
    assert max(sizes) <= min(sizes) + max(len(stack.resources) for stack in estate.values())
    assert processes_for(list(estate.values())) == 1


def synth_process(folder: Path, *arguments: str, python: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m infra synth` as a process of its own, into ``folder/out``."""
    command = [str(python or sys.executable), "-m", "infra", "synth", "--out", str(folder / "out"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def normalised(folder: Path) -> dict[str, Any]:
    """Return the JSON of all stacks without what names the tool and its versions."""
    found = {}
    for name, content in read_synthesized(folder).items():
        plain: dict[str, Any] = json.loads(json.dumps(content))
        plain.pop("//", None)
        for required in plain["terraform"]["required_providers"].values():
            required.pop("version")
        found[name] = plain
    return found


def test_the_seam_alone_imports_cdktf() -> None:
    """Reading settings, building stacks and printing the matrix load neither cdktf nor a binding."""
    code = (
        "import sys; from infra.stacks.estate import stacks; from infra.build.release import current_release;"
        "from infra.config.checks import load_settings; from pipelines.declarations.registry import use_cases;"
        "stacks(load_settings(), use_cases(), current_release()); import infra.synthesis.cdktf_seam;"
        "print([m for m in sys.modules if m.split('.')[0] in ('cdktf', 'cdktn', 'jsii', 'pyspark', 'mlflow')"
        " or m.startswith('cdktf_')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_shipped_settings_are_where_the_command_line_looks() -> None:
    """The default folder holds what is loaded by default."""
    assert load_settings(FOLDER) == load_settings()
