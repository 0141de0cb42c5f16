"""The one table of attributes: what a span, a measurement or an event may carry. Nothing else leaves the process.

A value is of the stated kind, or it is left out: a text has the form of a name, so a sentence, which may quote a row, never
passes. Names follow OpenTelemetry's semantic conventions where there is one
(https://opentelemetry.io/docs/specs/semconv/registry/attributes/); the product's own begin with ``mlops.``.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

Value = str | int | bool

NAME = re.compile(r"[\w.:+/@-]{1,200}", re.ASCII)
"""What the text of an attribute looks like: a name, an address, an id. No space, no quote."""


class AttributeKind(StrEnum):
    """What the value of an attribute is."""

    NAME = "name"
    COUNT = "count"
    FLAG = "flag"


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribute:
    """One attribute.

    Attributes
    ----------
    unit
        Of a number, as UCUM writes it; empty for names and flags.
    meaning
        What it says, for the documentation.
    """

    name: str
    kind: AttributeKind
    meaning: str
    unit: str = ""

    def accepts(self, value: object) -> bool:
        """Whether a value is of the stated kind; None never is."""
        if self.kind is AttributeKind.NAME:
            return isinstance(value, str) and NAME.fullmatch(value) is not None
        if self.kind is AttributeKind.FLAG:
            return isinstance(value, bool)
        return isinstance(value, int) and not isinstance(value, bool)


def _name(name: str, meaning: str) -> Attribute:
    return Attribute(name=name, kind=AttributeKind.NAME, meaning=meaning)


def _count(name: str, unit: str, meaning: str) -> Attribute:
    return Attribute(name=name, kind=AttributeKind.COUNT, unit=unit, meaning=meaning)


SERVICE = _name("service.name", "jobs or the endpoint: `mlops.jobs`, `mlops.serving`")
RELEASE = _name("service.version", "version of the installed wheel, which names the release's commit")
ENVIRONMENT = _name("deployment.environment.name", "dev, staging or prod")
COMMIT = _name("vcs.ref.head.revision", "commit of the running code; `-modified` if files differ from it")

JOB = _name("mlops.job.name", "address of the job, `use_case.job`")
RUN = _name("mlops.run.id", "id of the run, as in the table `runs`")
TASK = _name("mlops.task.key", "key of the task in its job")
ATTEMPT = _count("mlops.attempt.number", "{attempt}", "number of the attempt at the task, from 1")
STATE = _name("mlops.state", "how it ended: succeeded, failed, interrupted")
ENGINE = _name("mlops.engine.name", "embedded, spark or databricks")
ROWS = _count("mlops.rows", "{row}", "rows that were written, answered or quarantined")

SYSTEM = _name("db.system.name", "`delta` for tables")
TABLE = _name("db.collection.name", "address of the table, `use_case_layer.table`")
OPERATION = _name("db.operation.name", "read, append, merge or replace")
VERSION_READ = _count("mlops.table.version_read", "{version}", "Delta version that was read")
VERSION_WRITTEN = _count(
    "mlops.table.version_written", "{version}", "Delta version that holds the rows that were written"
)
SKIPPED = Attribute(
    name="mlops.table.skipped", kind=AttributeKind.FLAG, meaning="the batch was there already; nothing was written"
)

MODEL = _name("mlops.model.name", "name of the registered model")
MODEL_VERSION = _count("mlops.model.version", "{version}", "version of the model that was registered, loaded or named")
ALIAS = _name("mlops.model.alias", "alias that was given to the version")
MLFLOW_RUN = _name("mlops.mlflow.run_id", "id of the run in MLflow")

SOURCE = _name("mlops.source.name", "name of the source in its use case")
USE_CASE = _name("mlops.use_case.name", "name of the use case that the endpoint serves")

ERROR = _name("error.type", "class of the error; never its message, which may quote a row")
MODULE = _name("code.function.name", "module and function of ours in which the error arose")
LINE = _count("code.line.number", "{line}", "line of it")

METHOD = _name("http.request.method", "GET or POST")
ROUTE = _name("http.route", "path of the endpoint that was asked; no other path is recorded")
STATUS = _count("http.response.status_code", "{status}", "status of the answer")

ATTRIBUTES = (
    SERVICE, RELEASE, ENVIRONMENT, COMMIT, ENGINE, JOB, RUN, TASK, ATTEMPT, STATE, ROWS, SYSTEM, TABLE, OPERATION, VERSION_READ,
    VERSION_WRITTEN, SKIPPED, MODEL, MODEL_VERSION, ALIAS, MLFLOW_RUN, SOURCE, USE_CASE, ERROR, MODULE, LINE, METHOD, ROUTE,
    STATUS,
)  # fmt: skip
"""Every attribute that may leave, in the order of the documentation."""


def allowed(given: "dict[Attribute, object]") -> dict[str, Value]:
    """Return what may leave of some attributes, by name: values of another kind than stated are left out."""
    return {one.name: value for one, value in given.items() if one.accepts(value)}  # type: ignore[misc]  # accepts has looked
