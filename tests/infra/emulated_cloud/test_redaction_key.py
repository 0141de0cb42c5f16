"""The task that redacts reads its key from the workspace with the real SDK: as the identity of the jobs, and as nobody else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from infra.emulated_cloud.prepared import new_cloud
from infra.emulated_cloud.server import served
from pipelines.execution.context import Context, TaskError
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.tasks.data.redaction_key import redaction_key
from tests.pipelines.tasks.data.test_dev_data import FEBRUARY, REDACTED

KEY = "5a" * 32


def test_the_key_is_a_secret_that_the_jobs_alone_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the sentence says what to do; a member of the team is refused."""
    with served(new_cloud(), tmp_path / "cloud") as addresses, open_lakehouse("dev", root=tmp_path / "dev") as local:
        tokens = json.loads(addresses.tokens.read_text(encoding="utf-8"))["identities"]
        deployed = replace(local, engine="databricks", folder=None)
        context = Context(lakehouse=deployed, use_case=REDACTED, run_id="r", now=FEBRUARY, say=lambda _line: None)

        def sign_in(who: str) -> WorkspaceClient:
            monkeypatch.setenv("DATABRICKS_HOST", addresses.hosts["dev"])
            monkeypatch.setenv("DATABRICKS_TOKEN", tokens[who]["token"])
            return WorkspaceClient()

        runner = sign_in("dev")
        with pytest.raises(
            TaskError, match=r"has no secret redaction/key that its jobs can read .* databricks secrets put-secret"
        ):
            redaction_key(context)
        runner.secrets.create_scope("redaction")
        runner.secrets.put_secret("redaction", "key", string_value=KEY)
        assert redaction_key(context) == KEY.encode()
        sign_in("analyst")
        with pytest.raises(TaskError, match="does not have READ permission"):
            redaction_key(context)
