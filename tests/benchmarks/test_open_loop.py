"""The client that asks at a fixed rate charges a server that stands still with every request that fell due meanwhile."""

import asyncio
import time

from benchmarks.simulation.open_loop import UNANSWERED, Load, at_rate, together

REQUEST = b"POST /invocations HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
STANDING = 0.6
"""Seconds for which a server stands still."""
ANSWER = b'{"predictions": [{"score": 0.5, "model_version": 7}]}'


async def served(how: str, **load: float) -> Load:
    """Ask a server on loopback that answers, that stands still at first, that chunks, or that hangs up."""
    standing = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(len(REQUEST)):
            if how == "hangs up":
                break
            await standing.wait()
            if how == "chunks":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANSWER), ANSWER))
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    asyncio.get_running_loop().call_later(STANDING if how == "stands still" else 0, standing.set)
    port = server.sockets[0].getsockname()[1]
    async with server:
        return await (together if "clients" in load else at_rate)(port, REQUEST, **load)  # type: ignore[operator]  # both take what is given


def test_what_fell_due_while_the_server_stood_still_has_waited_since_then() -> None:
    """One request has waited longest, the next one a fiftieth of a second less, and so on, in whatever order they end."""
    begun = time.perf_counter()
    load = asyncio.run(served("stands still", rate=50, seconds=0.5))
    answering = time.perf_counter() - begun - STANDING  # at most: no answer came before, and none after
    assert load.statuses == {200: 25}
    longest = sorted(load.seconds, reverse=True)
    assert longest[0] - longest[19] >= 19 / 50 - answering


def test_every_request_has_a_status_and_the_version_that_answered() -> None:
    """By length or in chunks; clients that ask one after the other as well."""
    assert asyncio.run(served("chunks", rate=100, seconds=0.2)).versions == [7]
    load = asyncio.run(served("answers", clients=3, seconds=0.1))
    assert load.statuses[200] == len(load.seconds) >= 3


def test_a_connection_that_breaks_is_a_request_without_an_answer() -> None:
    """It has no latency."""
    load = asyncio.run(served("hangs up", rate=100, seconds=0.05))
    assert (load.statuses, load.seconds) == ({UNANSWERED: 5}, [])
