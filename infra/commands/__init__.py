"""The commands of ``python -m infra``, each in a module of its own that is imported only when it is asked for.

A command's module offers ``add_arguments(parser)`` and ``run(args) -> int``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Command:
    """Where a command is, and what it does in one line."""

    module: str
    help: str


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "synth": Command(module="infra.commands.synth", help="write every stack as Terraform JSON"),
        "describe": Command(module="infra.commands.describe", help="print what an environment consists of"),
        "matrix": Command(module="infra.commands.matrix", help="print who may do what in which environment"),
        "schema": Command(module="infra.commands.schema", help="write the JSON Schemas of the settings for editors"),
        "wheel": Command(module="infra.commands.wheel", help="build the wheel of the current commit, reproducibly"),
        "affected": Command(
            module="infra.commands.affected", help="say which stacks and jobs a change affects, and why"
        ),
        "review": Command(
            module="infra.commands.review", help="say what a change means in each environment, in Markdown"
        ),
        "comment": Command(module="infra.commands.comment", help="post a review as the one comment on a pull request"),
        "bootstrap": Command(module="infra.commands.bootstrap", help="create what holds Terraform's own state"),
        "validate": Command(module="infra.commands.validate", help="run terraform validate on every stack"),
        "plan": Command(module="infra.commands.plan", help="run terraform plan on one environment's stacks"),
        "kept": Command(
            module="infra.commands.show_plan", help="show a kept plan: what it would do, its wheel, its hash"
        ),
        "apply": Command(module="infra.commands.apply", help="apply exactly the kept plan that was reviewed"),
        "rollback": Command(
            module="infra.commands.rollback", help="take an environment back to the code of the release before"
        ),
        "devops": Command(module="infra.commands.devops", help="set Azure DevOps up for the pipelines"),
        "drift": Command(module="infra.commands.drift", help="say what is no longer as it was last released"),
        "waivers": Command(
            module="infra.commands.waivers", help="list accepted findings with the days they still have"
        ),
        "check": Command(module="infra.commands.check", help="check every stack against policy"),
    }
)
