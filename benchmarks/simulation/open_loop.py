"""Asks an endpoint at a fixed rate, whether or not it has answered: a process of its own beside the server.

Every request has an instant at which it is due, and its latency counts from that instant, so a server that stands still is charged
with all the requests that fell due meanwhile ("coordinated omission", Tene 2013). Connections are kept; one more is opened where
none is free.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

MOST_CONNECTIONS = 512
UNANSWERED = 0
"""The status of a request whose connection broke, or that was not answered in time."""
PATIENCE = 10.0
"""Seconds after which a request counts as unanswered."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run of requests gave.

    Attributes
    ----------
    seconds
        Latency of each request that was answered 200, from the instant at which it was due.
    statuses
        Status to the number of requests.
    elapsed
        From the first due instant to the last answer.
    versions
        The model versions that answered, in the order of their first answer.
    """

    seconds: list[float]
    statuses: dict[int, int]
    elapsed: float
    versions: list[int]


class _Client:
    """Connections to one address, and what their requests gave."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port, self._request = port, request
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)
        self.seconds: list[float] = []
        self.statuses: dict[int, int] = {}
        self.versions: dict[int, None] = {}

    async def ask(self, due: float) -> None:
        """Send the request and record its answer."""
        async with self._room:
            try:
                status, body = await asyncio.wait_for(self._answered(), PATIENCE)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                status, body = UNANSWERED, b""
        if status == 200:
            self.seconds.append(time.perf_counter() - due)
            self.versions[json.loads(body)["predictions"][0].get("model_version", 0)] = None
        self.statuses[status] = self.statuses.get(status, 0) + 1

    async def _answered(self) -> tuple[int, bytes]:
        while (
            self._free and self._free[-1][0].at_eof()
        ):  # the server has closed it meanwhile: as every client, open another
            self._free.pop()[1].close()
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            body = await _body(reader, head)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in head:
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(head.split(" ", 2)[1]), body


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    for line in head.split("\r\n"):
        if line.startswith("content-length:"):
            return await reader.readexactly(int(line.partition(":")[2]))
    found = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return found


async def at_rate(port: int, request: bytes, *, rate: float, seconds: float) -> Load:
    """Ask so many times a second for so long, then wait for the answers."""
    client, count = _Client(port, request), round(rate * seconds)
    begun = time.perf_counter() + 0.05
    asking = []
    for number in range(count):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asking.append(asyncio.ensure_future(client.ask(due)))
    await asyncio.gather(*asking)
    return _load(client, begun)


async def together(port: int, request: bytes, *, clients: int, seconds: float) -> Load:
    """Let so many clients ask one request after the other for so long: how much a server can do."""
    client, begun = _Client(port, request), time.perf_counter()

    async def asking() -> None:
        while time.perf_counter() < begun + seconds:
            await client.ask(time.perf_counter())

    await asyncio.gather(*(asking() for _ in range(clients)))
    return _load(client, begun)


def _load(client: _Client, begun: float) -> Load:
    return Load(
        seconds=client.seconds, statuses=client.statuses, elapsed=time.perf_counter() - begun,
        versions=list(client.versions),
    )  # fmt: skip


def main() -> None:
    """Read what to do from the standard input, as JSON; print what it gave."""
    asked = json.load(sys.stdin)
    request = asked.pop("request").encode()
    run = together if "clients" in asked else at_rate
    print(json.dumps(asdict(asyncio.run(run(request=request, **asked)))))


if __name__ == "__main__":
    main()
