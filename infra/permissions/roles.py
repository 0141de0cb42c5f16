"""The words in which settings state access: roles of people, levels of access, kinds of objects.

No SDK is loaded here, so that reading settings is quick; what a level allows is in `infra.permissions.access_levels`.
"""

from enum import StrEnum


class Role(StrEnum):
    """What people do across all use cases of an environment."""

    PLATFORM_ENGINEER = "platform_engineer"
    ML_ENGINEER = "ml_engineer"
    DATA_SCIENTIST = "data_scientist"


class Access(StrEnum):
    """How far somebody reaches in an environment; what each level allows is in `infra.permissions.access_levels.RIGHTS`."""

    NONE = "none"
    EXPLAIN = "explain"
    OBSERVE = "observe"
    OPERATE = "operate"
    DEVELOP = "develop"
    ADMINISTER = "administer"


class Object(StrEnum):
    """The kinds of workspace objects that carry permissions."""

    JOB = "job"
    EXPERIMENT = "experiment"
    WAREHOUSE = "warehouse"
    CLUSTER = "cluster"
    FOLDER = "folder"
    ENDPOINT = "endpoint"
    DASHBOARD = "dashboard"
    ALERT = "alert"
