"""The allowed settings of an environment's online store: how large it is, and how many replicas answer endpoints."""

from enum import StrEnum

from pydantic import Field

from infra.config.network import StrictSettings


class StoreCapacity(StrEnum):
    """The sizes of a store; one unit is about 16 GB of memory.

    https://learn.microsoft.com/en-us/azure/databricks/machine-learning/feature-store/online-feature-store
    """

    CU_1 = "CU_1"
    CU_2 = "CU_2"
    CU_4 = "CU_4"
    CU_8 = "CU_8"


class OnlineStoreSettings(StrictSettings):
    """The store that endpoints look features up in, for use cases that declare ``online``; absent where none does."""

    capacity: StoreCapacity = Field(description="How large it is; it is changed in place.")
    read_replicas: int = Field(
        default=0, ge=0, le=3, description="Copies that answer beside it, and take over if it fails."
    )
