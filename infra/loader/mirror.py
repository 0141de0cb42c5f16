"""A mirror of providers for Terraform in which the loader stands for each that is not at hand, and the process behind it."""

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from infra.loader.mirrored import NOTHING, Mirrored
from infra.loader.session import LoaderError
from infra.offline.run_environment import address_of, schemas_of, sources_of
from infra.offline.schemas import Schemas
from infra.terraform_cli.synthesized import SynthesizedStack

MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
PLATFORM = f"{platform.system().lower()}_{MACHINES.get(platform.machine(), platform.machine())}"
"""Terraform's name of this machine's kind, as `terraform version` prints it."""
LAUNCHER = Path(__file__).with_name("launcher.py")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Providers:
    """What Terraform finds.

    Parameters
    ----------
    configuration
        The configuration file for ``TF_CLI_CONFIG_FILE``.
    real
        The providers that come from mirrors of the user's, each ``namespace/type``.
    loaded
        Those that the loader stands for.
    """

    configuration: Path
    real: tuple[str, ...]
    loaded: tuple[str, ...]


@contextmanager
def loader_mirror(stacks: Iterable[SynthesizedStack], folder: Path, at_hand: Mirrored = NOTHING) -> Iterator[Providers]:
    """Let Terraform find the loader in place of each provider of some stacks that is not at hand, while the context lasts.

    Parameters
    ----------
    at_hand
        Mirrors of real providers.

    Raises
    ------
    LoaderError
        If the process does not start.
    """
    stacks, folder = list(stacks), folder.resolve()
    with tempfile.TemporaryDirectory(prefix="loader") as short:
        address = f"{short}/s"
        real, loaded = [], []
        for source in sources_of(stacks):
            schemas = schemas_of(source, stacks)
            if at_hand.holds(address_of(source), str(schemas["version"]), PLATFORM):
                real.append(source)
            else:
                loaded.append(source)
                _write_loader(address_of(source), schemas, folder, address)
        providers = Providers(configuration=at_hand.file, real=tuple(real), loaded=tuple(loaded))
        if not loaded:
            yield providers
            return
        configuration = folder / "terraform.rc"
        configuration.write_text(_configuration((folder / "providers", *at_hand.folders)), encoding="utf-8")
        providers = replace(providers, configuration=configuration)
        with (folder / "loader.log").open("ab") as log, subprocess.Popen(  # noqa: S603 -- our own module
            [sys.executable, "-m", "infra.loader.serving", address], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            if process.stdout is None or process.stdin is None or not process.stdout.readline():
                raise LoaderError(f"the loader did not start; see {folder / 'loader.log'}.")
            try:
                yield providers
            finally:
                process.stdin.close()


def _configuration(mirrors: Iterable[Path]) -> str:
    blocks = "".join(f"  filesystem_mirror {{\n    path = {json.dumps(str(one))}\n  }}\n" for one in mirrors)
    return f"disable_checkpoint = true\nprovider_installation {{\n{blocks}}}\n"


def _write_loader(place: str, schemas: Schemas, folder: Path, address: str) -> None:
    """Write the program that stands for one provider."""
    name = place.rsplit("/", 1)[-1]
    version = str(schemas["version"])
    file = folder / "schemas" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(schemas), encoding="utf-8")
    program = folder / "providers" / place / version / PLATFORM / f"terraform-provider-{name}_v{version}"
    program.parent.mkdir(parents=True, exist_ok=True)
    words = " ".join(f"'{word}'" for word in (sys.executable, "-I", "-S", str(LAUNCHER), address, str(file)))
    program.write_text(f"#!/bin/sh\nexec {words}\n", encoding="utf-8")
    program.chmod(0o700)
