"""Checks of the settings across files: teams, use cases, sizes, regions; and the list of all checks.

What keeps environments apart is in `infra.config.settings_apart`, groups are in `infra.config.settings_groups`. They read the data of the files, not the models, so that a mistake within one file hides no mistake between files. The
limits within one file are in `infra.config.model`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from infra.config import settings_apart, settings_ceilings, settings_groups
from infra.config.loading import FOLDER, Mistake, Place, Settings, SettingsError, SettingsFile, near_miss, read
from infra.permissions.roles import Access, Role
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.environment_data import DataKind
from pipelines.declarations.registry import use_cases as declared_use_cases
from pipelines.declarations.use_case import UseCase

Files = Mapping[str, SettingsFile]
Check = Callable[[Files, Sequence[UseCase]], Iterator[Mistake]]


def load_settings(folder: Path = FOLDER, use_cases: Sequence[UseCase] | None = None) -> Settings:
    """Return the settings, after every check on every file.

    Parameters
    ----------
    folder
        Where the settings files are.
    use_cases
        The declared use cases; by default those of the registry.

    Raises
    ------
    SettingsError
        With every mistake that was found.
    """
    reading = read(folder)
    declared = declared_use_cases() if use_cases is None else use_cases
    mistakes = [*reading.mistakes, *(mistake for check in CHECKS for mistake in check(reading.files, declared))]
    if mistakes or reading.settings is None:
        raise SettingsError(mistakes)
    return reading.settings


def _environments(files: Files) -> list[tuple[str, SettingsFile]]:
    return [(name, files[name]) for name in ENVIRONMENTS if name in files]


def _files_state_their_own_name(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    for name, file in _environments(files):
        stated = file.get("environment")
        if isinstance(stated, str) and stated != name:
            yield file.mistake(("environment",), stated, f"must be {name!r}, the name of the file")


def _teams_are_unique(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for index, _team in files["teams"].items("teams") if "teams" in files else ():
        name = files["teams"].get("teams", index, "name")
        if name in seen:
            yield files["teams"].mistake(("teams", index, "name"), name, "is listed twice; a team has one entry")
        seen.add(name)
    yield from _former_names_are_free(files, seen)


def _former_names_are_free(files: Files, seen: set[str]) -> Iterator[Mistake]:
    """Yield every former name, or name of a retired team, that another team has: it is a name in the states."""
    if "teams" not in files:
        return
    teams = files["teams"]
    places: list[Place] = [
        ("teams", index, "renamed_from", position)
        for index, _team in teams.items("teams")
        for position, _name in teams.items("teams", index, "renamed_from")
    ]
    places += [("retired_teams", index, "name") for index, _team in teams.items("retired_teams")]
    for place in places:
        name = teams.get(*place)
        if name in seen:
            yield teams.mistake(
                place, name, "is the name of another team, or stated twice; what it has could not be told apart"
            )
        seen.add(name)


def _use_cases_have_their_team(files: Files, declared: Sequence[UseCase]) -> Iterator[Mistake]:
    """Every listed use case is declared, by the team that lists it, and every declared one is listed once."""
    if "teams" not in files:
        return
    teams = files["teams"]
    by_name = {use_case.name: use_case for use_case in declared}
    listed: dict[str, str] = {}
    for index, _team in teams.items("teams"):
        team = str(teams.get("teams", index, "name"))
        for position, name in teams.items("teams", index, "use_cases"):
            place = ("teams", index, "use_cases", position)
            if name not in by_name:
                yield teams.mistake(place, name, f"unknown use case. {near_miss(str(name), by_name)}")
                continue
            if name in listed:
                yield teams.mistake(place, name, f"belongs to team {listed[name]!r} already; a use case has one team")
            elif by_name[name].team != team:
                problem = f"declares the team {by_name[name].team!r}; list it there, or change its declaration"
                yield teams.mistake(place, name, problem)
            listed[name] = team
    for use_case in declared:
        if use_case.name not in listed:
            known = [str(teams.get("teams", index, "name")) for index, _team in teams.items("teams")]
            problem = f"use case {use_case.name!r} is listed nowhere; add it to use_cases of team {use_case.team!r}"
            # There may be no such team: then its name may be the mistake.
            meant = "" if use_case.team in known else f". There is no such team: {near_miss(use_case.team, known)}"
            yield teams.mistake(("teams",), None, f"{problem}{meant}")


def _retired_use_cases_are_gone(files: Files, declared: Sequence[UseCase]) -> Iterator[Mistake]:
    names = {use_case.name for use_case in declared}
    for index, _team in files["teams"].items("teams") if "teams" in files else ():
        for position, name in files["teams"].items("teams", index, "retired"):
            if name in names:
                problem = "is declared, so it is not retired; take its folder away, or list it in use_cases"
                yield files["teams"].mistake(("teams", index, "retired", position), name, problem)
    for index, _team in files["teams"].items("retired_teams") if "teams" in files else ():
        for position, name in files["teams"].items("retired_teams", index, "use_cases"):
            if name in names:
                problem = "is declared, so it is not retired; take its folder away, or give it to another team"
                yield files["teams"].mistake(("retired_teams", index, "use_cases", position), name, problem)


def _readable_environments_exist(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    for name, file in _environments(files):
        others = set(ENVIRONMENTS) - {name}
        for index, other in file.items("reads"):
            if other not in others:
                yield file.mistake(("reads", index), other, f"not another environment. {near_miss(str(other), others)}")
        scientists = file.get("roles", Role.DATA_SCIENTIST.value, "access")
        if file.items("reads") and scientists == Access.NONE.value:
            problem = "is for data scientists, who hold no access here: give them some, or read nothing"
            yield file.mistake(("reads",), None, problem)


def _delivered_models_are_received(files: Files, declared: Sequence[UseCase]) -> Iterator[Mistake]:
    for name, file in _environments(files):
        delivered = sorted(use_case.name for use_case in declared if name not in use_case.trained_in)
        if delivered and file.get("receives_models") is not True:
            problem = (
                f"must be true, which opens the models of {ENVIRONMENTS[name].receives_from} to the jobs of {name}: "
                f"{', '.join(delivered)} declare that {name} does not train them (trained_in)"
            )
            yield file.mistake(("receives_models",), file.get("receives_models"), problem)


def _regions_have_the_metastore(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    region = files["account"].get("metastore", "region") if "account" in files else None
    for _name, file in _environments(files):
        stated = file.get("region")
        if region and isinstance(stated, str) and stated != region:
            yield file.mistake(
                ("region",), stated, f"must be {region!r}: a workspace can only use its region's metastore"
            )


def _job_sizes_are_stated(files: Files, declared: Sequence[UseCase]) -> Iterator[Mistake]:
    for _name, file in _environments(files):
        known = [str(size) for size, _nodes in file.items("compute", "sizes")]
        for job in (job for use_case in declared for job in use_case.jobs):
            if known and str(job.size) not in known:
                problem = f"job {job.address} asks for the size {str(job.size)!r}. {near_miss(str(job.size), known)}"
                yield file.mistake(("compute", "sizes"), None, problem)


def _sign_in_is_once_per_zone(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    first: dict[tuple[str, str], str] = {}
    for name, file in _environments(files):
        zone = file.get("network", "private_dns_zones", "databricks")
        if isinstance(zone, str) and file.get("network", "web_authentication") is not False:
            other = first.setdefault((str(file.get("region")), zone.lower()), name)
            if other != name:
                problem = f"must be false: {other} has the endpoint of sign-in of the same region and private DNS zone"
                yield file.mistake(
                    ("network", "web_authentication"), file.get("network", "web_authentication"), problem
                )


def _private_link_scopes_are_one_per_zone(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    """Yield second scopes of a zone: each takes the names of the first one's endpoints away.

    Source: https://learn.microsoft.com/en-us/azure/azure-monitor/logs/private-link-design
    """
    first: dict[str, str] = {}
    for name, file in _environments(files):
        zone, place = file.get("network", "private_dns_zones", "monitor"), ("telemetry", "private_link")
        if isinstance(zone, str) and file.get("telemetry") is not None and file.get(*place) is not False:
            other = first.setdefault(zone.lower(), name)
            if other != name:
                problem = (
                    f"must be false: {other} has a private link scope of Azure Monitor in the same private DNS zone"
                )
                yield file.mistake(place, file.get(*place), problem)


def _online_stores_are_published_to(files: Files, declared: Sequence[UseCase]) -> Iterator[Mistake]:
    """Yield stores to which nothing is published, and environments whose endpoints would look for a store in vain."""
    publishing = [use_case.name for use_case in declared if use_case.online is not None]
    for _name, file in _environments(files):
        place: Place = ("serving", "online_store")
        stated = file.get(*place)
        if stated is not None and not publishing:
            yield file.mistake(
                place, None, "no use case declares `online`, so nothing would be published to it; leave it out"
            )
        if stated is None and publishing and file.get("serving") is not None:
            problem = f"must state online_store: {', '.join(publishing)} publishes features, and its versions look them up there"
            yield file.mistake(("serving",), None, problem)


def _source_locations_are_of_declared_sources(files: Files, declared: Sequence[UseCase]) -> Iterator[Mistake]:
    sources = {use_case.name: [source.name for source in use_case.sources] for use_case in declared}
    for _name, file in _environments(files):
        for use_case, _places in file.items("source_locations"):
            place: Place = ("source_locations", use_case)
            if use_case not in sources:
                yield file.mistake(place, use_case, f"unknown use case. {near_miss(str(use_case), sources)}")
                continue
            known = sources[str(use_case)]
            for source, _location in file.items(*place):
                if source not in known:
                    yield file.mistake((*place, source), source, f"unknown source. {near_miss(str(source), known)}")


def _source_locations_are_not_of_another_environment(files: Files, _: Sequence[UseCase]) -> Iterator[Mistake]:
    for name, file in _environments(files):
        for use_case, _places in file.items("source_locations"):
            for source, location in file.items("source_locations", use_case):
                catalog = str(location).removeprefix("/Volumes/").partition("/")[0]
                if str(location).startswith("/Volumes/") and catalog in ENVIRONMENTS and catalog != name:
                    problem = f"is a volume of {catalog}, whose catalog {name} cannot see; name one of {name}"
                    yield file.mistake(("source_locations", use_case, source), location, problem)


def _redacted_sources_lie_outside(files: Files, declared: Sequence[UseCase]) -> Iterator[Mistake]:
    """Yield volumes of an environment with the rows of a source of which it must not have them as they are."""
    sources = {(one.name, source.name): source for one in declared for source in one.sources}
    for name, file in _environments(files):
        for use_case, _places in file.items("source_locations"):
            for key, location in file.items("source_locations", use_case):
                source = sources.get((str(use_case), str(key)))
                inside = str(location).startswith(f"/Volumes/{name}/")
                if source is not None and inside and source.data_in(name).kind is not DataKind.REAL:
                    problem = (
                        f"is a volume of {name}, which receives {source.data_in(name).kind.value} data of {key}: its rows as they are "
                        "would be there; name an address outside of it"
                    )
                    yield file.mistake(("source_locations", use_case, key), location, problem)


CHECKS: tuple[Check, ...] = (
    _files_state_their_own_name,
    _teams_are_unique,
    _use_cases_have_their_team,
    _retired_use_cases_are_gone,
    _readable_environments_exist,
    _delivered_models_are_received,
    _regions_have_the_metastore,
    _job_sizes_are_stated,
    _sign_in_is_once_per_zone,
    _private_link_scopes_are_one_per_zone,
    _online_stores_are_published_to,
    _source_locations_are_of_declared_sources,
    _source_locations_are_not_of_another_environment,
    _redacted_sources_lie_outside,
    *settings_apart.CHECKS,
    *settings_groups.CHECKS,
    *settings_ceilings.CHECKS,
)
