"""A mirror of providers for Terraform in which the loader stands for each, and the process behind it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.loader.session import LoaderError
from infra.offline.run_environment import address_of, schemas_of
from infra.terraform_cli.synthesized import SynthesizedStack

PLATFORM = "linux_amd64"
LAUNCHER = Path(__file__).with_name("launcher.py")
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def loader_mirror(stacks: Iterable[SynthesizedStack], folder: Path) -> Iterator[Path]:
    """Let Terraform find the loader in place of every provider of some stacks, while the context lasts.

    Yields
    ------
    Path
        The configuration file for ``TF_CLI_CONFIG_FILE``.

    Raises
    ------
    LoaderError
        If the process does not start.
    """
    stacks, folder = list(stacks), folder.resolve()
    with tempfile.TemporaryDirectory(prefix="loader") as short:
        address = f"{short}/s"
        for source in sorted({str(p["source"]) for stack in stacks for p in stack.providers.values()}):
            _provider(source, stacks, folder, address)
        configuration = folder / "terraform.rc"
        mirror = json.dumps(str(folder / "providers"))
        configuration.write_text(
            f"disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n",
            encoding="utf-8",
        )
        with (folder / "loader.log").open("ab") as log, subprocess.Popen(  # noqa: S603 -- our own module
            [sys.executable, "-m", "infra.loader.serving", address], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            if process.stdout is None or process.stdin is None or not process.stdout.readline():
                raise LoaderError(f"the loader did not start; see {folder / 'loader.log'}.")
            try:
                yield configuration
            finally:
                process.stdin.close()


def _provider(source: str, stacks: list[SynthesizedStack], folder: Path, address: str) -> None:
    """Write the program that stands for one provider."""
    place = address_of(source)
    name = place.rsplit("/", 1)[-1]
    schemas = schemas_of(source, stacks)
    version = str(schemas["version"])
    file = folder / "schemas" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(schemas), encoding="utf-8")
    program = folder / "providers" / place / version / PLATFORM / f"terraform-provider-{name}_v{version}"
    program.parent.mkdir(parents=True, exist_ok=True)
    words = " ".join(f"'{word}'" for word in (sys.executable, "-I", "-S", str(LAUNCHER), address, str(file)))
    program.write_text(f"#!/bin/sh\nexec {words}\n", encoding="utf-8")
    program.chmod(0o700)
