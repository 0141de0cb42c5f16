"""The image of development and of the build agents: its file fits the published schema, its install script holds every download to a hash."""

import json
import re
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".devcontainer"
SCRIPT = FOLDER / "install.sh"
SCHEMA = Path(__file__).parent / "devContainer.base.schema.json"


def schema_mistakes(stated: dict[str, object]) -> list[str]:
    """Return what the published schema says about a devcontainer.json."""
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return [error.message for error in validator.iter_errors(stated)]


def test_the_file_fits_the_published_schema() -> None:
    """And a key that the schema does not know, or an image without a build, does not."""
    stated = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))
    assert schema_mistakes(stated) == []
    assert schema_mistakes({**stated, "postCreateComand": "make setup"})
    assert schema_mistakes({key: value for key, value in stated.items() if key != "build"})


def test_the_image_has_what_its_script_reads() -> None:
    """Every file of the repository that the script names is copied into the image, and every copied file exists."""
    dockerfile = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (\S+) /tmp/image/", dockerfile, re.MULTILINE)
    assert all((ROOT / file).is_file() for file in copied)
    named = re.findall(r"(?:\.azuredevops|requirements)/[\w.]+", SCRIPT.read_text(encoding="utf-8"))
    assert set(named) <= set(copied)
    assert re.search(r"^FROM \S+@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)


def test_every_download_is_pinned_by_its_hash() -> None:
    """Each address has a sha256 beside it, no other download is made, and every package of `az` has hashes."""
    text = SCRIPT.read_text(encoding="utf-8")
    pins = dict(re.findall(r"^(\w+)_sha256=([0-9a-f]{64})$", text, re.MULTILINE))
    addresses = dict(re.findall(r"^(\w+)_from=(https://\S+)$", text, re.MULTILINE))
    assert pins.keys() == addresses.keys() == {"python", "jdk", "databricks"}
    assert set(re.findall(r'^fetch "\$(\w+)_sha256" "\$(\w+)_from"', text, re.MULTILINE)) == {
        (one, one) for one in pins
    }
    assert text.count("curl --fail") == 1
    assert "--require-hashes -r requirements/az.txt" in text


def test_programs_are_the_ones_that_pipelines_and_runtime_use() -> None:
    """Python of the pipelines, where their task looks for it; the JDK that they name; Terraform by their own script."""
    steps = (ROOT / ".azuredevops" / "templates" / "set-up.yml").read_text(encoding="utf-8")
    (python,) = re.findall(r'UsePythonVersion@0\n(?:.*\n)*?.*versionSpec: "([\d.]+)"', steps)
    (java,) = re.findall(r'JavaToolInstaller@1\n(?:.*\n)*?.*versionSpec: "(\d+)"', steps)
    text, dockerfile = SCRIPT.read_text(encoding="utf-8"), (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(rf"^python_version={re.escape(python)}\.\d+$", text, re.MULTILINE)
    assert f"JAVA_HOME_{java}_X64=/opt/tools/jdk-{java}" in dockerfile
    assert "bash .azuredevops/terraform.sh" in text


@pytest.mark.parametrize(
    ("command", "said"), [("uname() { echo Linux aarch64; }", "for Linux on x86_64"), ("id() { echo 1000; }", "run it as root")]
)  # fmt: skip
def test_a_machine_that_does_not_fit_is_told_before_anything_is_installed(command: str, said: str) -> None:
    """In one sentence."""
    done = subprocess.run(
        ["bash", "-c", f"{command}; apt-get() {{ echo installed; }}; export -f apt-get; source {SCRIPT}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert said in done.stderr
    assert "installed" not in done.stdout
