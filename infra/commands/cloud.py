"""Serve one emulated Azure and three Databricks workspaces on this machine, until Ctrl-C.

Examples
--------
  python -m infra cloud
  python -m infra cloud --empty
"""

import shlex
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from infra.emulated_cloud.prepared import callers, new_cloud
from infra.emulated_cloud.server import Addresses, served
from infra.emulated_cloud.world import Site
from infra.emulated_compute.compute import computing
from pipelines.command_line import interrupts

FOLDER = Path("build/cloud")
EPILOG = "Deployed jobs run. It refuses what the services refuse; docs/rehearsal.md says what it does not know. Nothing of it survives."


def run(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="FOLDER", help="Where tokens and certificate are written.")
    ] = FOLDER,
    empty: Annotated[
        bool, typer.Option("--empty", help="Begin without metastore and workspaces, as a first deployment does.")
    ] = False,
) -> int:
    """Start it, print how clients reach it, and serve until the process is interrupted."""
    site = Site(prepared=not empty)
    cloud = new_cloud(site)
    try:
        with served(cloud, folder) as addresses, computing(cloud, folder / "compute", addresses.hosts):
            print("\n".join(directions(addresses, site)), flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("ended: nothing of this cloud is kept, and its tokens are gone. A new one begins anew.", flush=True)
        interrupts.end_process(interrupts.exit_code())
    return 0


def directions(addresses: Addresses, site: Site) -> list[str]:
    """Return what a person reads who wants to use it."""
    workspaces = [name for name, _ in site.workspaces]
    authority = shlex.quote(str(addresses.authority))
    names = ", ".join(caller.name for caller in callers(site))
    return [
        *(f"{name:10} {address}" for name, address in addresses.hosts.items()),
        f"{'proxy':10} {addresses.proxy}",
        f"{'tokens':10} {addresses.tokens} (of {names})",
        "",
        "Databricks SDK and MLflow client:",
        f"  export DATABRICKS_HOST={addresses.hosts[workspaces[0]]}",
        (
            f"  export DATABRICKS_TOKEN=$({shlex.quote(sys.executable)} -c 'import json, sys; "
            f'print(json.load(open(sys.argv[1]))["identities"]["{workspaces[0]}"]["token"])\' {shlex.quote(str(addresses.tokens))})'
        ),
        "  export MLFLOW_TRACKING_URI=databricks",
        "Under the real host names, Terraform's providers included; a user name is the virtual network to come from:",
        f"  export HTTPS_PROXY={addresses.proxy} SSL_CERT_FILE={authority} REQUESTS_CA_BUNDLE={authority}",
    ]
