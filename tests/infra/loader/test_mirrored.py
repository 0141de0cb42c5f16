"""Providers that a mirror holds are real; the loader stands for the others, and one line says which."""

import itertools
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.loader.mirror import PLATFORM, Providers, loader_mirror
from infra.loader.mirrored import NOTHING, Mirrored, mirrored
from infra.rehearsal.site import providers_told
from infra.terraform_cli.synthesized import SynthesizedStack

ADDRESS, VERSION = "registry.terraform.io/databricks/databricks", "1.99.0"
ENTRA = "3.7.0"


def configured(folder: Path, blocks: str) -> Path:
    """Write a configuration file of Terraform's."""
    file = folder / "terraform.rc"
    file.write_text(f"disable_checkpoint = true\nprovider_installation {{\n{blocks}\n}}\n", encoding="utf-8")
    return file


def hold(mirror: Path, *, packed: bool) -> None:
    """Let a mirror hold the provider, in one of the two layouts that Terraform reads."""
    place = mirror / ADDRESS
    if packed:
        place.mkdir(parents=True)
        (place / f"terraform-provider-databricks_{VERSION}_{PLATFORM}.zip").touch()
    else:
        (place / VERSION / PLATFORM).mkdir(parents=True)


@pytest.mark.parametrize("packed", [False, True])
def test_a_mirror_holds_a_provider_packed_or_unpacked_in_its_version_for_this_machine(
    tmp_path: Path, packed: bool
) -> None:
    """Another version, another machine or another provider is not at hand."""
    hold(tmp_path / "b", packed=packed)
    mirrors = "".join(f'  filesystem_mirror {{\n    path = "{tmp_path / one}"\n  }}\n' for one in ("a", "b"))
    found = mirrored(str(configured(tmp_path, mirrors)))
    assert found.folders == (tmp_path / "a", tmp_path / "b")
    assert found.holds(ADDRESS, VERSION, PLATFORM)
    for address, version, platform in (
        (ADDRESS, "1.98.0", PLATFORM), (ADDRESS, VERSION, "darwin_arm64"), ("registry.terraform.io/hashicorp/azurerm", VERSION, PLATFORM),
    ):  # fmt: skip
        assert not found.holds(address, version, platform)


@pytest.mark.parametrize("block", ['network_mirror {\n url = "https://mirror.example/"\n}', "direct {}"])
def test_a_source_that_is_no_folder_is_left_to_terraform(tmp_path: Path, block: str) -> None:
    """What a server holds is not asked here."""
    assert mirrored(str(configured(tmp_path, block))).holds(ADDRESS, VERSION, PLATFORM)


@pytest.mark.parametrize("named", ["", "no/such/file"])
def test_without_a_configuration_file_nothing_is_at_hand(named: str) -> None:
    """The variable is not set, or names no file."""
    assert mirrored(named) == NOTHING
    assert not NOTHING.holds(ADDRESS, VERSION, PLATFORM)


@pytest.mark.terraform
def test_terraform_takes_what_is_at_hand_and_the_loader_for_the_rest(tmp_path: Path) -> None:
    """Terraform installs the program of the mirror, and the loader in place of the provider that the mirror does not have."""
    program = tmp_path / "mirror" / ADDRESS / VERSION / PLATFORM / f"terraform-provider-databricks_v{VERSION}"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho of the mirror\n", encoding="utf-8")
    program.chmod(0o700)
    (tmp_path / "stack").mkdir()
    required = {
        "databricks": {"source": "databricks/databricks", "version": VERSION}, "azuread": {"source": "hashicorp/azuread", "version": ENTRA},
    }  # fmt: skip
    content = {"terraform": {"required_providers": required}}
    stack = SynthesizedStack(name="both", folder=tmp_path / "stack", content=content)
    (tmp_path / "stack" / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")
    at_hand = Mirrored(file=tmp_path / "unused.rc", folders=(tmp_path / "mirror",))
    with loader_mirror([stack], tmp_path / "loader", at_hand) as providers:
        assert (providers.real, providers.loaded) == (("databricks/databricks",), ("hashicorp/azuread",))
        variables = {**os.environ, "TF_CLI_CONFIG_FILE": str(providers.configuration), "CHECKPOINT_DISABLE": "1"}
        said = subprocess.run(
            ["terraform", "init", "-no-color", "-input=false"], cwd=tmp_path / "stack", env=variables, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
    assert said.returncode == 0, said.stderr
    installed = tmp_path / "stack" / ".terraform" / "providers"
    assert (installed / ADDRESS / VERSION / PLATFORM / program.name).read_text() == program.read_text()
    assert re.findall(r"Installing hashicorp/azuread v(\d+\.\d+\.\d+)", said.stdout) == [ENTRA]


@given(st.integers(min_value=0, max_value=2**3 - 1))
def test_the_line_names_each_provider_once_and_says_what_is_made_up(real: int) -> None:
    """For every division of three providers between mirror and loader."""
    names = ("databricks/databricks", "hashicorp/azuread", "hashicorp/azurerm")
    chosen = tuple(name for place, name in enumerate(names) if real >> place & 1)
    rest = tuple(name for name in names if name not in chosen)
    line = providers_told(Providers(configuration=Path("terraform.rc"), real=chosen, loaded=rest))
    assert "\n" not in line
    assert ("loader" in line) == bool(rest)
    assert ("are real" in line or "the real ones" in line) == bool(chosen)
    if chosen:
        assert all(line.count(name) == 1 for name in itertools.chain(chosen, rest))
