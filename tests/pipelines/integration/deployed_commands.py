"""Runs commands against deployed environments of one use case, whose jobs and SQL are real, on loopback.

Called as a program in a copy of the repository: ``python -m ... NAME ENVIRONMENT ...``. In each environment, as if it had
just been deployed, it runs the integration and the smoke test of a delivery, and prints which tables hold rows afterwards.
"""

import sys
import tempfile
from pathlib import Path

import pytest
from databricks.sdk.service import sql as sdk
from deltalake import DeltaTable

from pipelines.__main__ import main
from pipelines.declarations.registry import use_case
from tests.pipelines.remote.deployed import WHEEL, wheel_path
from tests.pipelines.remote.deployed_lakehouse import DeployedLakehouse
from tests.pipelines.remote.loopback_workspace import LoopbackWorkspace, VirtualClock, point_to


def run(name: str, environment: str) -> int:
    """Run the commands and return the first exit code that is not 0."""
    declared, server = use_case(name), LoopbackWorkspace()
    tags = sdk.EndpointTags(custom_tags=[sdk.EndpointTagPair(key="environment", value=environment)])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        point_to(server.host, patch, Path(folder))
        patch.setattr("pipelines.remote.connection.RealClock", VirtualClock)
        patch.setattr("pipelines.commands.smoke.use_cases", lambda: (declared,))
        server.held.warehouses = [sdk.EndpointInfo(id="w1", name=f"sql-{environment}", tags=tags)]
        server.held.files = {wheel_path(environment)}
        deployed = DeployedLakehouse(server, Path(folder), declared, environment)
        where = ("--env", environment, "--remote")
        code = main(["integration", *where, "--use-case", name])
        code = code or main(["smoke", *where, "--wheel", WHEEL])
        left = [table.address for table in declared.tables if rows_of(deployed.path(table))]
        print(f"tables of {environment} with rows afterwards: {', '.join(left) or 'none'}")
    server.close()
    return code


def rows_of(path: str) -> int:
    """Return how many rows a table holds; 0 if there is no table."""
    return int(DeltaTable(path).to_pyarrow_table().num_rows) if DeltaTable.is_deltatable(path) else 0


if __name__ == "__main__":
    sys.exit(max(run(sys.argv[1], environment) for environment in sys.argv[2:]))
