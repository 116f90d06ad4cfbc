"""The table of `status`: each team's settings in the stack file, and its current state.

Owns: reading the outputs and each team's API, the rows. A team whose API is down is a row that says so, not an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx2

from cli import say
from cli.cluster import Ask, Target, asking
from cli.driver import TeamState
from cli.errors import CommandError
from cli.reach import reach_of
from kube.health import faults
from lenient import Json, moment, parsed, table, text
from lenient import rows as rows_in
from names import CHECK_NAMESPACE, CHECK_REPORT, Object
from probe.pair import LISTED, listing
from settings.models import Platform, SchedulerMode, Team
from settings.tenants import canary_of, slot_of, tenants

REPORT_PATH: Final = f"/api/v1/namespaces/{CHECK_NAMESPACE}/configmaps/{CHECK_REPORT}"
QUICK: Final = httpx2.Timeout(4.0, connect=2.0)
"""Seconds for each team's API. All teams are asked at once, so dead ones cost this time once."""
ASKED_AT_ONCE: Final = 16
HEADERS: Final = (
    *("team", "pool", "age", "scheduler", "version", "vCluster", "Kubernetes"),
    *("GPUs (quota of limit)", "used", "queues (used/quota/limit)", "pods", "KAI", "API", "check"),
)
WIDEST: Final = 10_000
"""Columns: wider than any table of ours."""


@dataclass(frozen=True, kw_only=True)
class Row:
    team: str
    pool: str
    mode: str
    version: str
    gpus: str
    queues: str
    resources: str
    api: str
    check: str
    faults: tuple[str, ...] = ()
    age: str = "-"
    namespace: str = "-"
    vcluster: str = "-"
    kubernetes: str = "-"
    used: str = "-"
    """GPUs that its own pods use."""
    pods: str = "-"
    """Its own pods by state."""
    kai: str = "-"


def rows(platform: Platform, states: Mapping[str, TeamState], *, now: datetime | None = None) -> list[Row]:
    at = now or datetime.now(UTC)
    return [_row(platform, name, team, states.get(name), at) for name, team in tenants(platform).items()]


def _row(platform: Platform, name: str, team: Team, state: TeamState | None, now: datetime) -> Row:
    gpus = team.resources.gpus
    unit = platform.pools[team.pool].unit if team.pool else "GPU"
    version = (state.scheduler_version if state else None) or team.scheduler.version
    if version is None and team.scheduler.mode is SchedulerMode.HOST and platform.host.scheduler is not None:
        version = platform.host.scheduler.version
    return Row(
        team=name,
        pool=team.pool or "-",
        mode=", ".join(_mode(platform, name, team)),
        version=version or "-",
        gpus=f"{gpus.quota} of {gpus.limit} {unit}s" if gpus.limit else "-",
        queues=", ".join(f"{leaf} -/{q.gpu.quota:g}/{q.gpu.limit:g}" for leaf, q in team.queues.items()) or "-",
        resources=f"{team.resources.cpu} CPU, {team.resources.memory}, {team.resources.pods} pods",
        api=state.api if state else "not made",
        check=_check(state, now),
        faults=state.faults if state else (),
    )


def _mode(platform: Platform, name: str, team: Team) -> Iterator[str]:
    yield team.scheduler.mode.value
    if slot_of(platform, name) is not None:
        serves = canary_of(platform, name)
        yield f"beside {serves}" if serves else "serves"
    if team.paused:
        yield "paused"


def rows_of_state(states: Mapping[str, TeamState], *, now: datetime) -> list[Row]:
    """Return one row for each tenant from the last run's outputs, where the stack file can't be read."""
    return [_row_of_facts(name, state, now) for name, state in states.items()]


def _row_of_facts(name: str, state: TeamState, now: datetime) -> Row:
    facts = state.facts

    def said(key: str) -> str:
        value = facts.get(key)
        return "-" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)

    leaves = {leaf: q for leaf, q in table(facts, "queues").items() if isinstance(q, Mapping)}
    return Row(
        team=name,
        pool=said("pool"),
        mode=f"{said('mode')}, paused" if facts.get("state") == "paused" else said("mode"),
        version=state.scheduler_version or said("schedulerVersion"),
        gpus=f"{said('gpuQuota')} of {said('gpuLimit')}",
        queues=", ".join(f"{leaf} -/{q.get('quota')}/{q.get('limit')}" for leaf, q in leaves.items()) or "-",
        resources=f"{said('cpu')} CPU, {said('memory')}, {said('pods')} pods",
        api=state.api,
        check=_check(state, now),
        faults=state.faults,
    )


def _check(state: TeamState | None, now: datetime) -> str:
    if state is not None and state.failed:
        return f"not whole: {state.failed[0]}"
    if state is None or state.verdict is None:
        return "-"
    return f"{state.verdict}, {age(now - state.checked_at)} ago" if state.checked_at else state.verdict


def age(passed: timedelta) -> str:
    """A duration in its largest unit: `40 s`, `12 min`, `3 h`, `5 d`."""
    seconds = max(0, int(passed.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def show(table_rows: Sequence[Row], *, stack: str, now: datetime, more: str = "") -> None:
    """Print the rows and their time: as a table if it fits, else as a few lines for each team. No word is broken."""
    out = say.console(result=True)
    out.print(f"stack {stack} at {now.astimezone().strftime('%Y-%m-%d %H:%M:%S %Z')}{more}", soft_wrap=True)
    table = say.table(HEADERS, ([say.plain(cell) for cell in _cells(row)] for row in table_rows), fold=False)
    # measured without the console's width, which would cut what does not fit
    if out.measure(table, options=out.options.update(max_width=WIDEST)).maximum <= out.width:
        out.print(table)
        return
    for row in table_rows:
        out.print(say.plain(paragraph(row, out.width)), soft_wrap=True)


def _cells(row: Row) -> tuple[str, ...]:
    first = (row.team, row.pool, row.age, row.mode, row.version, row.vcluster, row.kubernetes)
    return (*first, row.gpus, row.used, row.queues, row.pods, row.kai, row.api, row.check)


def paragraph(row: Row, width: int) -> str:
    """Return a row as lines of at most `width` columns."""
    parts = (
        f"{row.team}: pool {row.pool}, scheduler {row.mode} {row.version}, API {row.api}, check {row.check}",
        f"GPUs {row.gpus}, {row.used} used; queues (used/quota/limit): {row.queues}",
        f"pods: {row.pods}; KAI: {row.kai}",
        f"age {row.age}, namespace {row.namespace}, vCluster {row.vcluster}, Kubernetes {row.kubernetes}",
        row.resources,
    )
    wrapped = (say.wrapped(part, width, say.INDENT if at else "") for at, part in enumerate(parts))
    return "\n".join(line for lines in wrapped for line in lines)


def pairs(states: Mapping[str, TeamState], width: int = WIDEST) -> str:
    """Which pods ran where for checks of two shares of one GPU; empty where there were none.

    A table where it fits `width` columns, else a line or two for each pod.
    """
    return "".join(
        f"\nthe pair of {name}\n{_listed(state.pods, width)}\n" for name, state in states.items() if state.pods
    )


def _listed(pods: Sequence[Object], width: int) -> str:
    table = listing(tuple(dict(pod) for pod in pods))
    if all(len(line) <= width for line in table.splitlines()):
        return table
    said = (", ".join(f"{key} {pod[key]}" for key in LISTED if pod.get(key)) for pod in pods)
    return "\n".join(line for text in said for line in say.wrapped(text, width))


def broken(states: Mapping[str, TeamState]) -> str:
    """The faults of teams' own schedulers, one line each; empty where there are none."""
    return "".join(
        f"\nthe scheduler of {name} is not well, and no other team's is touched by it\n"
        + "".join(f"  {fault}\n" for fault in state.faults)
        for name, state in states.items()
        if state.faults
    )


# --- what is known now ------------------------------------------------------------------------------------------------


def team_states(
    outputs: Object, platform: Platform, otherwise: Callable[[str], str | None] = lambda _: None
) -> dict[str, TeamState]:
    """Return the state of each tenant: from the outputs, and from its API where that answers."""
    reach = reach_of(outputs, platform, None, otherwise)
    names = [name for name, config in reach.teams.items() if name in reach.made or config]

    def ask(name: str) -> TeamState:
        config = reach.teams[name]
        target = Target(context=name, source="the stack's outputs", config=config) if config else None
        return team_state(table(reach.made, name), target)

    with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def team_state(output: Json, target: Target | None) -> TeamState:
    """Return what is known of one tenant. A report on its API is newer than the one in the outputs."""
    last = parsed(output.get("check"))
    verdict, checked_at = _verdict(last)
    failed = output.get("failed")
    known = TeamState(
        api="not asked",
        scheduler_version=text(output, "schedulerVersion") or None,
        verdict=verdict,
        checked_at=checked_at,
        failed=tuple(failed) if isinstance(failed, (list, tuple)) else (),
        pods=_pods(last),
        facts=dict(output),
    )
    if target is None:
        return known
    try:
        with asking(target, timeout=QUICK) as ask:
            report = ask(REPORT_PATH)
            known = replace(known, faults=_faults(ask, output))
    except CommandError as error:
        return replace(known, api=f"down: {error.cause}")
    if report is None:
        return replace(known, api="up")
    latest = parsed(text(report, "data", "report.json"))
    newer, at = _verdict(latest)
    return replace(
        known,
        api="up",
        pods=_pods(latest),
        verdict=text(report, "data", "verdict") or newer or verdict,
        checked_at=at or _written(report) or checked_at,
    )


def _faults(ask: Ask, output: Json) -> tuple[str, ...]:
    """The faults of a team's own KAI. A KAI that is only being made is not broken."""
    if output.get("mode") != SchedulerMode.VIRTUAL.value or "namespace" not in output:
        return ()

    def read(path: str) -> Json | None:
        try:
            return ask(path)
        except CommandError:
            return {}

    return tuple(faults(read, text(output, "schedulerVersion")))


def _written(report: Json) -> datetime | None:
    """When the report was last written: a check that ended early has no time in its report."""
    times = [moment(entry, "time") for entry in rows_in(report, "metadata", "managedFields")]
    return max((time for time in times if time is not None), default=None)


def _pods(report: Json) -> tuple[Object, ...]:
    """The listing of a pair. It comes from a team's own cluster, so the team may have written anything."""
    return tuple({key: row.get(key) for key in LISTED} for row in rows_in(report, "pods"))


def _verdict(report: Json) -> tuple[str | None, datetime | None]:
    return text(report, "verdict") or None, moment(report, "startedAt")
