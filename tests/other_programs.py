"""What programs of others understand, of the commands that pages and messages name: read from their help, compared with it again.

`tests/test_other_programs.py` asks each program that is installed whether this is so.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass


class OtherCommandError(ValueError):
    """The program would not understand the command; the message holds it and says why."""


@dataclass(frozen=True, kw_only=True)
class OtherCommand:
    """One command of a program.

    Attributes
    ----------
    valued, flags
        Options with a value, and without one.
    least, most
        How many arguments it takes beside its options.
    extension
        What has to be installed into the program first; empty for nothing.
    """

    valued: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    least: int = 0
    most: int = 0
    extension: str = ""


def _takes(
    arguments: int | tuple[int, int] = 0, *, valued: str = "", flags: str = "", extension: str = ""
) -> OtherCommand:
    least, most = arguments if isinstance(arguments, tuple) else (arguments, arguments)
    given = (frozenset(valued.split()), frozenset(flags.split()))
    return OtherCommand(least=least, most=most, valued=given[0], flags=given[1], extension=extension)


MANY = 99
GLOBAL: Mapping[str, str] = {"terraform": "-chdir"}
"""Program to its option that stands before the command."""
CDKTF = _takes((0, MANY), flags="--ignore-missing-stack-dependencies --auto-approve")
COMMANDS: Mapping[str, OtherCommand] = {
    "az account set": _takes(valued="--subscription"),
    "az ad app credential delete": _takes(valued="--id --key-id", flags="--cert"),
    "az ad app credential reset": _takes(valued="--id --end-date", flags="--create-cert --append"),
    "az ad app federated-credential delete": _takes(valued="--id --federated-credential-id"),
    "az ad app owner remove": _takes(valued="--id --owner-object-id"),
    "az ad signed-in-user show": _takes(valued="--query --output"),
    "az cloud register": _takes(valued="--name"),
    "az login": _takes(valued="--username --tenant --certificate", flags="--service-principal"),
    "az network private-endpoint-connection approve": _takes(valued="--id --description"),
    "az network private-endpoint-connection list": _takes(valued="--id"),
    "az pipelines run": _takes(valued="--name --branch --parameters", extension="azure-devops"),
    "az provider register": _takes(valued="--namespace"),
    "az role assignment delete": _takes(valued="--assignee --role --scope"),
    "curl": _takes(1, valued="-H -d"),
    "databricks account service-principal-federation-policy delete": _takes(2),
    "databricks account service-principal-secrets delete": _takes(2),
    "databricks account workspace-assignment delete": _takes(2),
    "databricks cluster-policies delete": _takes(1),
    "databricks grants update": _takes(2),
    "databricks permissions set": _takes(2),
    "databricks secrets delete-acl": _takes(2),
    "databricks secrets get-secret": _takes(2),
    "databricks secrets put-secret": _takes(2, valued="--string-value"),
    "databricks workspace-bindings update-bindings": _takes(2),
    "git config": _takes(2),
    "git fetch": _takes((0, 2), flags="--unshallow --prune"),
    "git merge": _takes(1),
    "git push": _takes((1, 2), flags="--delete"),
    "git remote add": _takes(2, flags="--no-tags"),
    "git tag": _takes(1, valued="--message", flags="--annotate"),
    "npm ci": _takes(),
    "npx cdktf deploy": CDKTF,
    "npx cdktf destroy": CDKTF,
    "npx cdktf diff": _takes((0, 1)),
    "npx cdktf output": _takes((0, 1)),
    "terraform force-unlock": _takes(1),
    "terraform import": _takes(2),
    "terraform init": _takes(),
    "terraform show": _takes((0, 1), flags="-json"),
    "terraform untaint": _takes(1),
    "uv pip install": _takes((1, MANY), valued="--python"),
    "uv venv": _takes((0, 1), valued="--python"),
}
PROGRAMS = frozenset(name.split()[0] for name in COMMANDS)


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """Return the name of the command that words call, and the words after it.

    Raises
    ------
    OtherCommandError
        If it is none of the table.
    """
    before = GLOBAL.get(words[0], "")
    rest = [word for word in words if not (before and word.startswith(f"{before}="))]
    for length in range(len(rest), 0, -1):
        name = " ".join(rest[:length])
        if name in COMMANDS:
            return name, rest[length:]
    raise OtherCommandError(
        f"{shlex.join(words)}: {words[0]} has no such command in tests/other_programs.py; add it there with the options of its help."
    )


def check(words: list[str], *, whole: bool = True) -> None:
    """Check that the program of others understands a command.

    Parameters
    ----------
    whole
        Whether it can be typed as it is; otherwise it is named, and what it needs may be left out.

    Raises
    ------
    OtherCommandError
        If it has no such command or option, or too many or too few arguments.
    """
    if words[0] == "export":
        if len(words) != 2 or "=" not in words[1]:
            raise OtherCommandError(f"{shlex.join(words)}: `export` takes one NAME=VALUE.")
        return
    name, rest = command_of(words)
    known = COMMANDS[name]
    arguments, left = 0, iter(rest)
    for word in left:
        option, given, _ = word.partition("=")
        if not option.startswith("-"):
            arguments += 1
        elif option in known.valued:
            if not given and next(left, None) is None and whole:
                raise OtherCommandError(f"{shlex.join(words)}: {option} has no value.")
        elif option not in known.flags:
            allowed = ", ".join(sorted(known.valued | known.flags)) or "none"
            raise OtherCommandError(f"{shlex.join(words)}: {name} has no option {option}; known here: {allowed}.")
    if arguments > known.most or (whole and arguments < known.least):
        raise OtherCommandError(
            f"{shlex.join(words)}: {name} takes {known.least} to {known.most} arguments, not {arguments}."
        )
