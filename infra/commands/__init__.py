"""The commands of ``python -m infra``, each in a module of its own that is imported only when it is called."""

from collections.abc import Mapping
from types import MappingProxyType

from pipelines.command_line.program import Command

_TOPICS = {
    "Look": {
        "describe": ("describe", "print what an environment consists of"),
        "matrix": ("matrix", "print who may do what in which environment"),
        "access": ("access", "print what a principal can do, or who reaches an object, and how"),
        "rights": ("rights", "print the rights that each identity needs, and who grants them"),
        "cost": ("cost", "print what each environment costs in a month, as far as settings and prices say"),
        "schema": ("schema", "write the JSON Schemas of the settings for editors"),
    },
    "Check and review a change": {
        "synth": ("synth", "write every stack as Terraform JSON"),
        "validate": ("review.validate", "run terraform validate on every stack"),
        "check": ("review.check", "check every stack against policy"),
        "waivers": ("review.waivers", "list accepted findings with the days they have left"),
        "affected": ("review.affected", "print which stacks and jobs a change affects, and why"),
        "review": ("review.review", "print what a change means in each environment, in Markdown"),
        "comment": ("review.comment", "post a review as the one comment on a pull request"),
    },
    "Set the cloud up": {
        "ready": ("ready", "say what an environment lacks before its first apply"),
        "bootstrap": ("bootstrap", "create the storage of Terraform's own state"),
        "devops": ("devops", "set Azure DevOps up for the pipelines"),
    },
    "Deploy, and go back": {
        "plan": ("release.plan", "run terraform plan on one environment's stacks"),
        "kept": ("release.show_plan", "show a saved plan: what it would do, its wheel, its hash"),
        "apply": ("release.apply", "apply exactly the saved plan that was reviewed"),
        "drift": ("release.drift", "print what differs from the last release"),
        "rollback": ("release.rollback", "roll an environment back to the code of the previous release"),
        "branch": ("branch", "deploy a branch of use cases into dev beside the originals, or remove it"),
    },
    "Make a release of the code": {
        "version": ("release.version", "make a version of the product: number, changes, the commands of its tag"),
        "wheel": ("release.wheel", "build the wheel of the current commit, reproducibly"),
    },
    "Try everything without a cloud": {
        "cloud": ("cloud", "serve an emulated Azure and Databricks on this machine"),
        "rehearse": ("rehearse", "go from a commit to prod and back on this machine, in the emulated cloud"),
    },
}
COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        name: Command(module=f"infra.commands.{module}", help=help_line, topic=topic)
        for topic, commands in _TOPICS.items()
        for name, (module, help_line) in commands.items()
    }
)
"""By topic, in the order of the help."""
