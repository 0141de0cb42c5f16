"""The commands of ``python -m infra``, each in a module of its own that is imported only when it is called."""

from collections.abc import Mapping
from types import MappingProxyType

from pipelines.command_line.program import Command


def _command(module: str, help_line: str) -> Command:
    return Command(module=f"infra.commands.{module}", help=help_line)


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "synth": _command("synth", "write every stack as Terraform JSON"),
        "describe": _command("describe", "print what an environment consists of"),
        "matrix": _command("matrix", "print who may do what in which environment"),
        "access": _command("access", "print what a principal can do, or who reaches an object, and how"),
        "cost": _command("cost", "print what each environment costs in a month, as far as settings and prices say"),
        "rights": _command("rights", "print the rights that each identity needs, and who grants them"),
        "ready": _command("ready", "say what an environment lacks before its first apply"),
        "schema": _command("schema", "write the JSON Schemas of the settings for editors"),
        "version": _command(
            "release.version", "make a version of the product: number, changes, the commands of its tag"
        ),
        "wheel": _command("release.wheel", "build the wheel of the current commit, reproducibly"),
        "affected": _command("review.affected", "print which stacks and jobs a change affects, and why"),
        "review": _command("review.review", "print what a change means in each environment, in Markdown"),
        "comment": _command("review.comment", "post a review as the one comment on a pull request"),
        "bootstrap": _command("bootstrap", "create the storage of Terraform's own state"),
        "validate": _command("review.validate", "run terraform validate on every stack"),
        "plan": _command("release.plan", "run terraform plan on one environment's stacks"),
        "kept": _command("release.show_plan", "show a saved plan: what it would do, its wheel, its hash"),
        "apply": _command("release.apply", "apply exactly the saved plan that was reviewed"),
        "rollback": _command("release.rollback", "roll an environment back to the code of the previous release"),
        "branch": _command("branch", "deploy a branch of use cases into dev beside the originals, or remove it"),
        "devops": _command("devops", "set Azure DevOps up for the pipelines"),
        "drift": _command("release.drift", "print what differs from the last release"),
        "cloud": _command("cloud", "serve an emulated Azure and Databricks on this machine"),
        "rehearse": _command("rehearse", "go from a commit to prod and back on this machine, in the emulated cloud"),
        "waivers": _command("review.waivers", "list accepted findings with the days they have left"),
        "check": _command("review.check", "check every stack against policy"),
    }
)
