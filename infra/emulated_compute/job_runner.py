"""Runs the tasks of a run in the emulated workspaces: a thread for each run, a process for each task that has code."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.emulated_cloud.areas.databricks.jobs import DONE, JOBS, RUNS, AskedRun, finish, new_run, run_as, try_again
from infra.emulated_cloud.world import SERVICE_PRINCIPAL, USER, Caller, Json, World
from infra.emulated_compute.task_states import (
    CANCELED,
    EXCLUDED,
    FAILED,
    SUCCESS,
    TIMED_OUT,
    WITH_FAILURES,
    compare,
    decided,
    filled,
    overall,
    references_of,
    result_of,
)
from infra.emulated_compute.wheel_environment import Libraries, LibraryInstallationError, installed

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_CANCEL = 20
"""How long a task has after it was asked to end."""
LAST_LINES = 200
SCRIPT = Path(__file__).with_name("on_cluster.py")


@dataclass
class Attempted:
    """One attempt at a task that runs elsewhere: as a process, or as another run."""

    file: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    run: Json | None = None
    until: float = 0.0
    kill_at: float = 0.0

    def ask_to_end(self) -> bool:
        """Ask what still runs to end, later force it; return whether it has ended."""
        if self.run is not None:
            self.run["~cancelled"] = True
            return self.run["state"]["life_cycle_state"] in DONE
        if self.process is None or self.process.poll() is not None:
            return True
        now = time.monotonic()
        wanted = signal.SIGTERM if not self.kill_at else signal.SIGKILL if now > self.kill_at else None
        self.kill_at = self.kill_at or now + SECONDS_TO_CANCEL
        if wanted is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, wanted)
        return False


class JobRunner:
    """Runs what the workspaces are asked to run.

    Parameters
    ----------
    world
        The state of the cloud; changed under its lock only.
    folder
        Where environments, files of volumes, and logs of tasks go.
    root
        The folder of the tables and models of a metastore, by its id.
    address
        The address on this machine of a workspace, by its number.
    """

    def __init__(self, world: World, folder: Path, root: Path, addresses: Mapping[str, str]) -> None:
        self.world, self._folder, self._root, self._addresses = world, folder, root, addresses
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._installing = threading.Lock()

    def start(self, place: str, run: Json) -> None:
        """Begin a run in a thread of its own."""
        thread = threading.Thread(target=self._follow, args=(place, run), name=f"run {run['run_id']}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """End every process, and wait for the threads."""
        self._ended.set()
        for thread in self._threads:
            thread.join(SECONDS_TO_CANCEL)

    def _follow(self, place: str, run: Json) -> None:
        attempts: dict[str, Attempted] = {}
        with self.world.lock:
            values: dict[str, Mapping[str, Any]] = dict(run.setdefault("~values", {}))
        if not self._admitted(place, run):
            return
        while not self._ended.is_set():
            with self.world.lock:
                self._step(place, run, attempts, values)
                run["~values"] = dict(values)
                if all(result_of(task) for task in run["tasks"]):
                    self._finish(run)
                    return
            time.sleep(SECONDS_BETWEEN_LOOKS)
        while [one for one in attempts.values() if not one.ask_to_end()]:
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _admitted(self, place: str, run: Json) -> bool:
        """Wait until the job may run once more; return whether this run begins at all."""
        while not self._ended.is_set():
            with self.world.lock:
                job = self.world.store(f"workspace {place}", JOBS).get(str(run["job_id"]))
                if job is None or run.get("~cancelled"):
                    finish(run, CANCELED, "Run cancelled.", self.world.now())
                    return False
                most = int(job["settings"].get("max_concurrent_runs", 1))
                before = [
                    one for one in self.world.store(f"workspace {place}", RUNS).values()
                    if one["job_id"] == run["job_id"] and one["run_id"] < run["run_id"]
                    and one["state"]["life_cycle_state"] not in DONE
                ]  # fmt: skip
                if len(before) < most:
                    run["state"] = {"life_cycle_state": "RUNNING", "state_message": ""}
                    run["status"] = {"state": "RUNNING"}
                    return True
                if not (job["settings"].get("queue") or {}).get("enabled"):
                    finish(run, "MAXIMUM_CONCURRENT_RUNS_REACHED", "The job runs already.", self.world.now())
                    return False
                run["state"] = {"life_cycle_state": "QUEUED", "state_message": "Waiting for another run of the job."}
                run["status"] = {"state": "QUEUED"}
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return False

    def _step(
        self, place: str, run: Json, attempts: dict[str, Attempted], values: dict[str, Mapping[str, Any]]
    ) -> None:
        """Look at every task once: begin what may begin, note what has ended."""
        tasks = {task["task_key"]: task for task in run["tasks"]}
        for key, task in tasks.items():
            if result_of(task):
                continue
            if run.get("~cancelled"):
                if key not in attempts or attempts[key].ask_to_end():
                    finish(task, CANCELED, "Run cancelled.", self.world.now())
            elif key in attempts:
                self._look(task, attempts, values)
            elif (what := decided(task, tasks)) == "run":
                self._begin(place, run, task, attempts, values)
            elif what != "wait":
                message = "Not needed." if what == EXCLUDED else "Upstream task failed."
                finish(task, what, message, self.world.now())

    def _begin(
        self, place: str, run: Json, task: Json, attempts: dict[str, Attempted], values: Mapping[str, Mapping[str, Any]]
    ) -> None:
        task["start_time"] = self.world.now()
        task["state"] = {"life_cycle_state": "RUNNING", "state_message": ""}
        task["status"] = {"state": "RUNNING"}
        references = references_of(run, values)
        try:
            if "condition_task" in task:
                outcome = compare(task["condition_task"], references)
                task["condition_task"]["outcome"] = str(outcome).lower()
                finish(task, SUCCESS, "", self.world.now())
            elif "run_job_task" in task:
                attempts[task["task_key"]] = Attempted(run=self._other(place, run, task, references))
            else:  # a task of another kind has no entry point, and says so
                attempts[task["task_key"]] = self._process(place, run, task, references)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the run shows it
            task["~logs"] = str(error)
            finish(task, FAILED, str(error), self.world.now())

    def _other(self, place: str, run: Json, task: Json, references: Mapping[str, str]) -> Json:
        """Begin the run of another job."""
        asked = task["run_job_task"]
        job = self.world.store(f"workspace {place}", JOBS)[str(asked["job_id"])]
        parameters = filled(asked.get("job_parameters", {}), references)
        begun = new_run(self.world, place, job, AskedRun(parameters=parameters, by=run["creator_user_name"]))
        asked["run_id"] = begun["run_id"]
        task["run_job_task"] = asked
        return begun

    def _process(self, place: str, run: Json, task: Json, references: Mapping[str, str]) -> Attempted:
        """Install the libraries of a task and start its entry point as the job's identity."""
        if "python_wheel_task" not in task:
            raise LibraryInstallationError("the emulated workspace runs wheel, condition and run-job tasks alone.")
        job = self.world.store(f"workspace {place}", JOBS)[str(run["job_id"])]
        metastore = (self.world.metastore_of(place) or {}).get("metastore_id", "")
        with self._installing:
            python = installed(self._libraries(metastore, job, task), self._folder / "environments")
        root = self._root / metastore
        root.mkdir(parents=True, exist_ok=True)
        wheel = task["python_wheel_task"]
        described = {
            "host": self._addresses[place], "token": self._token(run_as(job)), "root": str(root),
            "volumes": str(self._volumes(metastore)), "run_id": str(run["run_id"]), "package": wheel["package_name"],
            "entry_point": wheel["entry_point"], "parameters": filled(wheel.get("parameters", []), references),
        }  # fmt: skip
        file = self._folder / "runs" / str(run["run_id"]) / f"{task['task_key']}-{task['attempt_number']}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as described_in:
            json.dump(described, described_in)
        with file.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 -- the environment of the task, our own file
                [str(python), "-P", str(SCRIPT), str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=file.parent, env=_own_environment(file.parent, described), start_new_session=True,
            )  # fmt: skip
        seconds = int(task.get("timeout_seconds") or 0)
        return Attempted(file=file, process=process, until=time.monotonic() + seconds if seconds else 0.0)

    def _libraries(self, metastore: str, job: Json, task: Json) -> Libraries:
        """Return the bytes of what a task installs, from the volumes.

        Raises
        ------
        LibraryInstallationError
            If a file is not there, or not exactly one wheel is named.
        """
        lines = [str(one.get("whl") or f"-r {one['requirements']}") for one in task.get("libraries", ())]
        for environment in job["settings"].get("environments", ()):
            if environment["environment_key"] == task.get("environment_key"):
                lines += environment["spec"].get("dependencies", [])
        wheels = [line.partition(" ")[0] for line in lines if line.partition(" ")[0].endswith(".whl")]
        if len(wheels) != 1:
            raise LibraryInstallationError(f"task {task['task_key']} names {len(wheels)} wheels, one is needed.")
        required = [line.removeprefix("-r ").strip() for line in lines if line.startswith("-r ")]
        return Libraries(
            wheel=wheels[0].rpartition("/")[2], content=self._content(metastore, wheels[0]),
            requirements="\n".join(self._content(metastore, path).decode() for path in required),
        )  # fmt: skip

    def _content(self, metastore: str, path: str) -> bytes:
        found = self.world.contents.get((f"metastore {metastore}", path))
        if found is None:
            raise LibraryInstallationError(f"library installation failed: the file {path} was not found.")
        return found

    def _volumes(self, metastore: str) -> Path:
        """Return the folder of this machine with the files of all volumes of a metastore."""
        place = self._folder / "volumes" / metastore
        for (where, path), content in self.world.contents.items():
            if where == f"metastore {metastore}" and path.startswith("/Volumes/"):
                file = place / path.removeprefix("/")
                if not file.exists() or file.read_bytes() != content:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
        return place

    def _token(self, principal: str) -> str:
        """Return a token of the identity that a job runs as."""
        known = self.world.token_of(principal)
        if known:
            return known
        document = self.world.principal(principal) or {}
        kind = SERVICE_PRINCIPAL if "applicationId" in document else USER
        name = str(document.get("displayName", principal))
        return self.world.issue_token(Caller(name=name, principal=principal, kind=kind, object_id=f"of {principal}"))

    def _look(self, task: Json, attempts: dict[str, Attempted], values: dict[str, Mapping[str, Any]]) -> None:
        key = task["task_key"]
        attempt = attempts[key]
        if attempt.run is not None:
            if attempt.run["state"]["life_cycle_state"] in DONE:
                del attempts[key]
                result = result_of(attempt.run)
                ended = SUCCESS if result in (SUCCESS, WITH_FAILURES) else FAILED
                finish(
                    task, ended, "" if ended == SUCCESS else f"Run {attempt.run['run_id']} failed.", self.world.now()
                )
            return
        if attempt.process is None or attempt.file is None:
            return
        code = attempt.process.poll()
        late = bool(attempt.until) and time.monotonic() > attempt.until
        if code is None and not (late and attempt.ask_to_end()):
            return
        del attempts[key]
        log = attempt.file.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        task["~logs"] = "\n".join(log.splitlines()[-LAST_LINES:])
        if code == 0:
            kept = attempt.file.with_suffix(".values")
            values[key] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
            finish(task, SUCCESS, "", self.world.now())
            return
        again = task["attempt_number"] < int(task.get("max_retries") or 0) and (
            not late or task.get("retry_on_timeout")
        )
        if again:
            try_again(self.world, task)
            return
        lines = [line.strip() for line in log.splitlines() if line.strip()]
        message = "Timed out." if late else (lines or [f"The process ended with code {code}."])[-1]
        finish(task, TIMED_OUT if late else FAILED, message, self.world.now())

    def _finish(self, run: Json) -> None:
        result = overall(run["tasks"])
        failed = [task["task_key"] for task in run["tasks"] if result_of(task) in (FAILED, TIMED_OUT)]
        message = f"Task {', '.join(failed)} failed." if failed else ""
        finish(run, result, message, self.world.now())


def _own_environment(home: Path, described: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a task: nothing of who serves the cloud but where programs are, and the job's identity."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")}
    own = {"DATABRICKS_HOST": described["host"], "DATABRICKS_TOKEN": described["token"], "DATABRICKS_AUTH_TYPE": "pat"}
    return {**kept, **own, "HOME": str(home), "PYTHONUNBUFFERED": "1", "COLUMNS": "160"}
