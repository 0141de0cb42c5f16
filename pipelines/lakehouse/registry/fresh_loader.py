"""Loads stored models and predicts, apart from the program that stored them; run by itself, as a script.

It imports nothing of ours and finds nothing of ours but what a model carries. Each line of its input is a request, as
`pipelines.lakehouse.registry.fresh_process` writes it; each is answered by a process that has loaded no other model.
"""

import json
import os
import pickle
import signal
import sys
import traceback
from typing import Any, TextIO


def main() -> None:
    """Answer requests until the input ends."""
    sys.dont_write_bytecode = True
    begin = json.loads(sys.stdin.readline())
    sys.path[:] = begin["path"]
    for name in begin["imported"]:  # what every model needs: once for all of them
        __import__(name)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os._exit(_answer(json.loads(line)))
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _answer(request: dict[str, Any]) -> int:
    signal.alarm(request["seconds"])
    with open(request["log"], "w", encoding="utf-8") as log:  # noqa: PTH123 - a script that imports little
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
        try:
            _predict(request)
        except BaseException as error:  # noqa: BLE001 - whatever a model raises is the answer
            traceback.print_exc(file=log)
            _tell(log, error)
            return 1
    return 0


def _tell(log: TextIO, error: BaseException) -> None:
    log.write("\n" + " ".join(str(error).split()))


def _predict(request: dict[str, Any]) -> None:
    code = request["code"]
    carried = set(os.listdir(code)) if os.path.isdir(code) else set()  # noqa: PTH112, PTH208 - as above
    sys.path.insert(0, code)
    for name in request["hidden"]:
        if not {name, f"{name}.py"} & carried:
            sys.modules[name] = None  # type: ignore[assignment] # Python's way to refuse an import
    if "served" in request:
        _serve(request)
        return
    with open(request["model"], "rb") as file:  # noqa: PTH123 - as above
        model = pickle.load(file)  # noqa: S301 - written a moment ago by the process that asks
    with open(request["rows"], "rb") as file:  # noqa: PTH123 - as above
        rows = pickle.load(file)  # noqa: S301 - as above
    with open(request["answer"], "wb") as file:  # noqa: PTH123 - as above
        pickle.dump(getattr(model, request["method"])(rows), file)


def _serve(request: dict[str, Any]) -> None:
    """Answer requests as MLflow lets a served model do, by what its files say of themselves."""
    import importlib

    with open(request["rows"], "rb") as file:  # noqa: PTH123 - as above
        rows = pickle.load(file)  # noqa: S301 - as above
    loader = importlib.import_module("pipelines.scoring.served")
    answers = loader._load_pyfunc(request["served"]).predict(rows)  # noqa: SLF001 - MLflow's name for it
    with open(request["answer"], "wb") as file:  # noqa: PTH123 - as above
        pickle.dump(answers, file)


if __name__ == "__main__":
    main()
