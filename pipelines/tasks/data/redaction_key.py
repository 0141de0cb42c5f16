"""The key with which an environment hashes columns: a secret of the workspace, or a file of this machine.

It is no parameter of a job: whoever may run a job with a key of their own could tell values by their hashes.
"""

import base64
import os
import secrets
from pathlib import Path

from pipelines.declarations.environment_data import LEAST_KEY_BYTES, SECRET_KEY, SECRET_SCOPE, hashes
from pipelines.execution.context import Context, TaskError

PUT = f'databricks secrets put-secret {SECRET_SCOPE} {SECRET_KEY} --string-value "$(openssl rand -hex 32)"'


def redaction_key(context: Context) -> bytes:
    """Return the key of the run's environment; empty where none of the use case's sources is hashed there.

    Raises
    ------
    TaskError
        If the workspace has none, or one that is too short.
    """
    environment = context.lakehouse.environment.name
    if not hashes(source.data_in(environment) for source in context.use_case.sources):
        return b""
    if context.lakehouse.engine == "databricks":
        key, where = _secret(environment), f"secret {SECRET_SCOPE}/{SECRET_KEY} of the workspace of {environment}"
    else:
        file = key_file(context)
        key, where = _of_file(file), f"file {file}"
    if len(key) < LEAST_KEY_BYTES:
        raise TaskError(
            f"the {where} has {len(key)} bytes and hashes need a key of {LEAST_KEY_BYTES} or more: make another one, and empty "
            "the tables that were written with it."
        )
    return key


def key_file(context: Context) -> Path:
    """Return the file of a local environment's key: beside its folder, not in it, so that no copy of the data takes it along."""
    folder = context.lakehouse.folder
    if folder is None:
        raise TaskError(f"{context.lakehouse.engine} has no folder.")
    return folder.parent / f".redaction-key-{folder.name}"


def _of_file(file: Path) -> bytes:
    """Return the content of a file that only its user may read; it is made once, and two that come at once get the same."""
    made = file.with_name(f"{file.name}-{secrets.token_hex(8)}")
    if not file.exists():
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(secrets.token_hex(LEAST_KEY_BYTES).encode())
        try:
            file.hardlink_to(made)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return file.read_bytes().strip()


def _secret(environment: str) -> bytes:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors.base import DatabricksError

    try:
        value = WorkspaceClient().secrets.get_secret(scope=SECRET_SCOPE, key=SECRET_KEY).value
    except DatabricksError as error:
        raise TaskError(
            f"the workspace of {environment} has no secret {SECRET_SCOPE}/{SECRET_KEY} that its jobs can read ({error}): an "
            f"administrator puts it there once, {PUT}"
        ) from None
    return base64.b64decode(value or "").strip()
