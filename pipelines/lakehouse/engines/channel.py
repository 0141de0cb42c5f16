"""How a session reaches a server of this machine; pyspark's own address form has no Unix sockets and no numbers with tokens."""

import os
from typing import TYPE_CHECKING, cast

import grpc
from pyspark.sql.connect.client import ChannelBuilder
from pyspark.sql.connect.session import SparkSession as ConnectSession

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client import DefaultChannelBuilder


class _Channel(ChannelBuilder):
    def __init__(self, target: str, token: str | None) -> None:
        super().__init__()
        self._target = target
        self._own_token = token

    @property
    def host(self) -> str:
        return self._target

    @property
    def token(self) -> str | None:
        return self._own_token

    def toChannel(self) -> grpc.Channel:  # noqa: N802 - pyspark's name
        if self._own_token is None:
            return self._insecure_channel(self._target)
        ours = grpc.composite_channel_credentials(
            grpc.local_channel_credentials(), grpc.access_token_call_credentials(self._own_token)
        )
        return self._secure_channel(self._target, ours)


def connect(target: str, *, token: str | None = None) -> "SparkSession":
    """Return a new session.

    Parameters
    ----------
    target
        A Unix socket or a numeric address, as gRPC writes it; a name such as ``localhost`` has several addresses, and
        another user may listen on one of them.
    token
        What the server asks for.
    """
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # as pyspark's own `create` does: functions then make remote columns
    channel = cast("DefaultChannelBuilder", _Channel(target, token))  # any channel builder is one to pyspark
    return cast("SparkSession", ConnectSession.builder.channelBuilder(channel).create())
