"""The argument checks of the bindings are remembered in the bindings' own modules, and still refuse wrong values."""

import typing
from pathlib import Path

import pytest
import typeguard

from infra.synthesis.binding_checks import remember_checks
from infra.synthesis.cdktf_seam import render
from infra.synthesis.stack import RemoteState, Stack

CALLS = """
import typing

def check_type(argname, value, expected_type):
    calls.append((argname, value))
    if not isinstance(value, expected_type):
        raise TypeError(argname)

def stub(name: str) -> None: ...

class Binding:
    def __init__(self, name):
        type_hints = typing.get_type_hints(stub)
        check_type(argname="name", value=name, expected_type=type_hints["name"])
"""


def test_a_check_that_has_passed_for_a_class_of_plain_values_is_not_repeated() -> None:
    """A value of another class is checked, and a wrong one is refused every time."""
    names: dict[str, typing.Any] = {"calls": []}
    exec(CALLS, names)  # noqa: S102 # a module in the form of a binding
    binding = names["Binding"]
    remember_checks(binding)
    remember_checks(binding)
    binding("a")
    binding("b")
    for _ in range(2):
        with pytest.raises(TypeError, match="name"):
            binding(1)
    assert names["calls"] == [("name", "a"), ("name", 1), ("name", 1)]


def test_rendering_changes_nothing_outside_of_the_bindings(tmp_path: Path) -> None:
    """`typing` and `typeguard` are those of the whole process."""
    hints, check = typing.get_type_hints, typeguard.check_type
    stack = Stack(name="small", description="", state=RemoteState(stack="small", azure=None))
    provider = stack.provider("databricks", "workspace", host="https://dev.invalid")
    stack.add("databricks_directory", "folder", provider=provider, path="/lakehouse")
    render([stack], tmp_path)
    assert (typing.get_type_hints, typeguard.check_type) == (hints, check)


def test_a_value_of_a_wrong_type_is_refused_after_right_ones(tmp_path: Path) -> None:
    """Within one rendering, the third resource of a type is checked like the first."""
    stack = Stack(name="small", description="", state=RemoteState(stack="small", azure=None))
    provider = stack.provider("databricks", "workspace", host="https://dev.invalid")
    for number, path in enumerate(["/a", "/b", 3]):
        stack.add("databricks_directory", f"folder_{number}", provider=provider, path=path)
    with pytest.raises(TypeError, match="path"):
        render([stack], tmp_path)
