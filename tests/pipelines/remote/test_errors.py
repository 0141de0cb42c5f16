"""What can be wrong on the way to a deployed environment: one sentence each, an exit code, and nothing moved."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import __main__ as command_line
from pipelines.remote import connection
from pipelines.remote.connection import Remote, connect
from pipelines.remote.errors import RemoteError
from tests.pipelines.remote.deployed import deployed_jobs
from tests.pipelines.remote.loopback_workspace import Fault, LoopbackWorkspace, RefusalError, VirtualClock

ROOT = Path(__file__).parents[3]
THROTTLED = RefusalError(429, "REQUEST_LIMIT_EXCEEDED", "Current request has to be retried", {"Retry-After": "7"})
BROKEN = RefusalError(500, "INTERNAL_ERROR", "something went wrong over there")
UNAVAILABLE = RefusalError(503, "TEMPORARILY_UNAVAILABLE", "the service is being updated", {"Retry-After": "3"})
GATEWAY = RefusalError(502, "BAD_GATEWAY", "upstream request failed")
ME = "scim/v2/Me"


@pytest.fixture
def said() -> list[str]:
    """Every line for the person who watches."""
    return []


@pytest.fixture
def remote(logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]) -> Remote:
    """Staging's workspace, connected; with its jobs."""
    logged_in.held.jobs = deployed_jobs("staging")
    return connect("staging", say=said.append, clock=clock)


def me(remote: Remote) -> str | None:
    """One question."""
    return remote.ask("ask who is logged in", remote.client.current_user.me).user_name


def test_throttling_is_waited_for_as_long_as_the_workspace_asks(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]
) -> None:
    """Retry-After, said to the person who waits; then the answer."""
    logged_in.faults = [Fault(ME, THROTTLED, times=2)]
    assert me(remote) == "releases@meridian-air.example"
    assert [int(seconds) for seconds in clock.waited] == [7, 7]
    assert len(said) == 2
    assert "asks to wait (Current request has to be retried): asking again in" in said[0]


def test_throttling_without_end_is_given_up(remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock) -> None:
    """After five minutes of one request."""
    logged_in.faults = [Fault(ME, THROTTLED, times=10_000)]
    with pytest.raises(RemoteError, match="kept answering that there are too many requests") as error:
        me(remote)
    assert error.value.exit_code == 3
    assert connection.PATIENCE_SECONDS - 10 < sum(clock.waited) < connection.PATIENCE_SECONDS + 10


def test_a_wait_that_nobody_would_wait_is_not_waited(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """An hour: the sentence says so at once."""
    logged_in.faults = [Fault(ME, RefusalError(429, "REQUEST_LIMIT_EXCEEDED", "slow down", {"Retry-After": "3600"}))]
    with pytest.raises(RemoteError, match="asks to wait 3600 s before the next request, longer than the 120 s"):
        me(remote)
    assert clock.waited == []


@pytest.mark.parametrize("fault", [BROKEN, GATEWAY, UNAVAILABLE, RefusalError(504, "DEADLINE_EXCEEDED", "too slow")])
def test_a_workspace_that_fails_by_itself_is_asked_again(
    remote: Remote, logged_in: LoopbackWorkspace, said: list[str], fault: RefusalError
) -> None:
    """5xx: twice a failure, then the answer."""
    logged_in.faults = [Fault(ME, fault, times=2)]
    assert me(remote) == "releases@meridian-air.example"
    assert len(said) == 2
    assert str(fault) in said[0]


def test_a_workspace_that_keeps_failing_is_given_up(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """After a bounded number of tries, with its own words."""
    logged_in.faults = [Fault(ME, BROKEN, times=10_000)]
    with pytest.raises(RemoteError, match=r"kept failing by itself .*something went wrong over there"):
        me(remote)
    assert clock.waited == list(connection.WAITS_SECONDS)


def test_what_is_not_implemented_is_not_asked_twice(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """501 will not change by waiting."""
    logged_in.faults = [Fault(ME, RefusalError(501, "NOT_IMPLEMENTED", "no such thing"), times=10)]
    with pytest.raises(RemoteError, match="could not ask who is logged in: no such thing"):
        me(remote)
    assert sum(ME in asked for asked in logged_in.asked) == 1


def test_a_slow_answer_is_asked_for_again(
    logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first takes longer than a request may; the second is there."""
    monkeypatch.setattr(connection, "ANSWER_WITHIN_SECONDS", 0.1)
    remote = connect("staging", say=said.append, clock=clock)
    logged_in.faults = [Fault(ME, seconds=0.3)]
    assert me(remote) == "releases@meridian-air.example"
    assert "did not answer: asking again in" in said[0]


def test_an_answer_that_never_comes_is_given_up(
    logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try has its limit, and all of them together."""
    monkeypatch.setattr(connection, "ANSWER_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 4)
    remote = connect("staging", say=said.append, clock=clock)
    logged_in.faults = [Fault(ME, seconds=0.2, times=100)]
    with pytest.raises(RemoteError, match="did not answer in time"):
        me(remote)


def test_an_expired_login_says_to_log_in_again(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """401 from the gate, and the 403 that means the same."""
    for fault in (
        RefusalError(401, "UNAUTHENTICATED", "Request to use token failed to validate"),
        RefusalError(403, "403", "Invalid access token."),
    ):
        logged_in.faults = [Fault(ME, fault)]
        with pytest.raises(RemoteError, match=r"does not accept the login .* Log in again, for example with az login"):
            me(remote)


def test_a_right_that_is_missing_says_which(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """In the workspace's own words."""
    logged_in.faults = [Fault("jobs/list", RefusalError(403, "PERMISSION_DENIED", "User lacks CAN_VIEW"))]
    with pytest.raises(RemoteError, match=r"does not allow to list the jobs: User lacks CAN_VIEW. Ask"):
        remote.ask("list the jobs", lambda: list(remote.client.jobs.list()))


def test_a_login_that_cannot_be_renewed_on_the_way_says_so(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK fetches tokens between requests; az says that the session is over."""

    def over() -> dict[str, str]:
        raise OSError("cannot get access token: AADSTS70043: The refresh token has expired")

    monkeypatch.setattr(remote.client.api_client._api_client, "_header_factory", over)
    with pytest.raises(RemoteError, match=r"there is no login for .*AADSTS70043.* Log in again: az login"):
        me(remote)


def test_no_network_is_said_at_once(logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]) -> None:
    """Nobody listens there: not waited for, because nobody has ever answered."""
    remote = connect("staging", say=said.append, clock=clock)
    logged_in.close()
    with pytest.raises(RemoteError, match=r"cannot be reached .*Connection refused.* Look at the address"):
        me(remote)
    assert clock.waited == []


@pytest.mark.usefixtures("logged_in")
def test_a_name_that_no_server_has_is_said_at_once(
    clock: VirtualClock, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error in DATABRICKS_HOST."""
    monkeypatch.setenv("DATABRICKS_HOST", "https://adb-1.azuredatabricks.invalid")
    remote = connect("staging", say=said.append, clock=clock)
    with pytest.raises(RemoteError, match=r"https://adb-1\.azuredatabricks\.invalid cannot be reached"):
        me(remote)


def test_a_network_that_goes_away_is_waited_for(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]
) -> None:
    """It has answered before: a disturbance, for five minutes."""
    assert me(remote)
    logged_in.close()
    with pytest.raises(RemoteError, match="cannot be reached"):
        me(remote)
    assert connection.PATIENCE_SECONDS - 15 < sum(clock.waited) < connection.PATIENCE_SECONDS + 15
    assert all("did not answer: asking again" in line for line in said)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run one command in this process: exit code, output, complaints in one line."""
    code = command_line.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "flight_delay.features", "--env", "stagging", "--remote"), 2, "did you mean 'staging'"),
        (("run", "flight_delay.feature", "--env", "staging", "--remote"), 2, "did you mean 'flight_delay.features'"),
        (("run", "flight_delay.features", "--remote", "--run-id", "20130401T"), 2, "is not the id of a deployed run"),
        (
            ("run", "flight_delay.features", "--cancel-on-interrupt"),
            2,
            "is about a deployed environment: give --remote",
        ),
        (("status", "--env", "staging", "--profile", "work"), 2, "is about a deployed environment: give --remote"),
        (("status", "--env", "stagin", "--remote"), 2, "did you mean 'staging'"),
        (("smoke", "--env", "prod"), 2, "give --remote"),
        (("smoke", "--env", "prod", "--remote", "--schedules", "runing"), 2, "did you mean 'running'"),
        (("smoke", "--env", "prod", "--remote", "--profile", "work"), 3, "nothing says which workspace is prod's"),
    ],
)
def test_mistakes_of_the_call_are_one_sentence(
    capsys: pytest.CaptureFixture[str],
    logged_in: LoopbackWorkspace,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    """And no request."""
    if code == 3:
        monkeypatch.delenv("DATABRICKS_HOST")
        monkeypatch.delenv("DATABRICKS_TOKEN")
        words = words[:-2]
    got, out, err = call(capsys, *words)
    assert got == code
    assert message in err
    assert "Traceback" not in out + err
    assert logged_in.asked == []


def test_a_host_without_a_login_says_to_log_in(
    capsys: pytest.CaptureFixture[str], logged_in: LoopbackWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK has looked everywhere; its own advice is kept."""
    monkeypatch.delenv("DATABRICKS_TOKEN")
    monkeypatch.setenv("PATH", "")
    code, _, err = call(capsys, "status", "--env", "staging", "--remote")
    assert code == 3
    assert f"there is no login for {logged_in.host}, the workspace of staging: log in, for example with az login" in err


def test_a_profile_that_does_not_exist_is_named(
    capsys: pytest.CaptureFixture[str], logged_in: LoopbackWorkspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the file that the SDK reads."""
    profiles = tmp_path / "profiles"
    profiles.write_text(f"[staging]\nhost = {logged_in.host}\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(profiles))
    code, _, err = call(capsys, "status", "--env", "staging", "--remote", "--profile", "stagign")
    assert code == 2
    assert "has no stagign profile configured" in err


def test_no_command_takes_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    """Who logs in is the SDK's matter alone."""
    for command in ("run", "status", "smoke"):
        assert command_line.main([command, "--help"]) == 0
        assert "token" not in capsys.readouterr().out.lower()


def test_commands_load_the_sdk_only_where_it_is_used() -> None:
    """Loading it takes longer than listing the jobs."""
    code = "import sys, pipelines.__main__ as m; m.main(['--help']); print('databricks.sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
