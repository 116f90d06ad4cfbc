"""What the page shows, as plain data: the snapshot with faults first. Pure.

Every text may come from a tenant. It is data here, and the page writes it as text, never as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Final, TypeAlias

from seen.model import Check, Component, GpuState, Node, Pool, Queue, Seen, Team, Unit
from seen.snapshot import gpu_bound
from seen.why import Why

Data: TypeAlias = "Mapping[str, Data] | Sequence[Data] | str | int | float | bool | None"

COLOURS: Final = 8
PATTERNS: Final = 4
"""The number of colours and of patterns. A team has a colour, a pattern and a mark."""
ROUNDING: Final = 6
"""Decimals of a share; 0.1 + 0.2 is shown as 0.3."""
MOST_PODS: Final = 200
"""The most waiting pods that are listed; the rest is counted."""
BAD_CHECK: Final = {"fail": "error", "could-not-tell": "warning", "warn": "warning"}
LEVELS: Final = ("error", "warning", "unseen")
"""The most serious first."""
NEVER_OVER: Final = 1.000001


def facts(seen: Seen, waiting: Iterable[Why] = ()) -> dict[str, Data]:
    """Return what the page shows. `waiting`: why pods wait or were lost."""
    marks = marks_of([team.name for team in seen.teams])
    lines: list[Data] = [
        {"team": one.team, "pod": f"{one.namespace}/{one.pod}", "cause": one.cause, "fix": one.fix}
        for one in islice(waiting, MOST_PODS)  # the search stops after these
    ]
    wait = sum(pod.waits for team in seen.teams for pod in team.pods)
    faults: list[dict[str, str]] = sorted(_faults(seen), key=lambda fault: LEVELS.index(fault["level"]))
    return {
        "stack": seen.stack,
        "simulated": seen.simulated,
        "at": seen.at.isoformat(),
        "kubernetes": seen.kubernetes,
        "faults": faults,
        "waiting": lines,
        "unlisted": max(0, wait - MOST_PODS) if len(lines) == MOST_PODS else 0,
        "pools": [_pool(pool) for pool in seen.pools],
        "teams": [_team(team, marks, place) for place, team in enumerate(seen.teams)],
        "host": [_component(one) for one in (*seen.plugin, *seen.kai)],
    }


def marks_of(teams: Sequence[str]) -> dict[str, str]:
    """Return a mark of at most two characters for each team. No two marks are equal, and people can guess them: the
    team's first characters if no other team has them, the number at its end, or other characters of its name.
    """
    letters = {team: [char for char in team if char.isalnum()] or ["?"] for team in teams}
    starts = Counter("".join(chars[:2]) for chars in letters.values())
    found: dict[str, str] = {}
    for team, chars in letters.items():
        start, end = "".join(chars[:2]), "".join(chars[-2:])
        ways = (
            [start] if starts[start] == 1 else [],
            [end] if end[-1].isdigit() else [],
            (chars[0] + other for other in chars[1:]),
            (f"{one}{two}" for one in _MARKS for two in _MARKS),
        )
        taken = set(found.values())
        found[team] = next((mark for way in ways for mark in way if mark not in taken), "??")
    return found


_MARKS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _number(value: float) -> float:
    return round(value, ROUNDING)


# --- faults -----------------------------------------------------------------------------------------------------------


def _faults(seen: Seen) -> Iterator[dict[str, str]]:
    for node in seen.nodes:
        yield from _of_node(node, seen.stack)
    nodes = {node.name for node in seen.nodes}
    for team in seen.teams:
        yield from _of_team(team, seen, nodes)
    for one in (*seen.plugin, *seen.kai):
        yield from _of_component("host", one)
    apis = {f"team {team.name}: everything" for team in seen.teams}
    for gap in seen.gaps:
        if gap.what not in apis:
            yield _fault("unseen", gap.what, f"could not be read: {gap.why}")


def _fault(level: str, about: str, text: str, fix: str = "") -> dict[str, str]:
    return {"level": level, "about": about, "text": text, "fix": fix}


def _of_node(node: Node, stack: str) -> Iterator[dict[str, str]]:
    about = f"node {node.name}"
    sick = sum(unit.state is GpuState.UNHEALTHY for unit in node.units)
    if node.fenced is not None:
        yield _fault("warning", about, f"is fenced: {node.fenced}", f"make unfence STACK={stack} NODE={node.name}")
        return
    if not node.ready:
        yield _fault("error", about, "is not Ready", f"kubectl describe node {node.name}")
    if sick:
        units = f"{sick} of its {len(node.units)} GPUs {'is' if sick == 1 else 'are'} unhealthy"
        yield _fault("error", about, units, f"make fence STACK={stack} NODE={node.name}")
    if node.cordoned:
        yield _fault("warning", about, "is cordoned", f"kubectl uncordon {node.name}")
    for pressure in node.pressures:
        yield _fault("error", about, f"has {pressure}")
    for unit in node.units:
        if sum(one.share or 0.0 for one in unit.holders) > NEVER_OVER:
            holders = ", ".join(f"{one.team or 'host'} {one.namespace}/{one.pod}" for one in unit.holders)
            yield _fault("error", about, f"one GPU holds more than its whole: {holders}")


def _of_team(team: Team, seen: Seen, nodes: Collection[str]) -> Iterator[dict[str, str]]:
    stack, about = seen.stack, f"team {team.name}"
    if team.api.startswith("down"):
        yield _fault("error", about, f"its API is {team.api}", f"kubectl -n {team.namespace} get pods")
    elif team.api == "not made":
        yield _fault("warning", about, "is not made yet", f"make up STACK={stack}")
    elif team.api == "not asked":
        yield _fault("unseen", about, "its API was not asked: no kubeconfig at hand")
    elif team.mode == "virtual" and not team.kai and not seen.simulated:
        yield _fault("error", about, "has no KAI in its cluster", f"make up STACK={stack}")
    for one in team.kai if team.mode == "virtual" else ():
        yield from _of_component(about, one)
    if team.check is not None and team.check.verdict in BAD_CHECK:
        level = BAD_CHECK[team.check.verdict]
        sentence = team.check.sentence or f"its check says {team.check.verdict}"
        # the report is in the team's own cluster, so a command to copy only names a node that the host has
        fix = f"make fence STACK={stack} NODE={team.check.node}" if team.check.node in nodes else ""
        yield _fault(level, f"{about}, check", sentence, fix if level == "error" else "")
    failed = [pod for pod in team.pods if pod.phase == "Failed" and not pod.ours]
    if failed:
        states = ", ".join(f"{count} {state}" for state, count in Counter(pod.state for pod in failed).items())
        yield _fault("warning", about, f"{len(failed)} of its pods failed ({states}), last {failed[-1].name}")
    for pod in team.pods:
        if pod.ours and pod.waits:
            yield _fault("warning", about, f"{pod.namespace}/{pod.name} is {pod.state}")


def _of_component(about: str, one: Component) -> Iterator[dict[str, str]]:
    if one.ready < one.wanted:
        yield _fault("error", about, f"{one.name}: {one.ready} of {one.wanted} ready")
    elif not one.wanted and not one.ready:
        yield _fault("warning", about, f"{one.name} is at 0 replicas")


# --- pools ------------------------------------------------------------------------------------------------------------


def _pool(pool: Pool) -> dict[str, Data]:
    return {
        "name": pool.name,
        "used": _number(sum(unit.taken for unit in pool.units)),
        "total": len(pool.units),
        "nodes": [_node(node) for node in pool.nodes],
    }


def _node(node: Node) -> dict[str, Data]:
    said = [f"fenced: {node.fenced}"] if node.fenced is not None else ["cordoned"] if node.cordoned else []
    return {
        "name": node.name,
        "product": node.product,
        "memoryMib": node.memory_mib,
        "said": [*([] if node.ready else ["not Ready"]), *said, *node.pressures],
        "units": [_unit(unit) for unit in node.units],
    }


def _unit(unit: Unit) -> dict[str, Data]:
    return {
        "number": unit.number,
        "resource": unit.resource,
        "state": unit.state.value,
        "uuid": unit.uuid,
        "parts": [
            {
                "team": one.team,
                "pod": f"{one.namespace}/{one.pod}",
                "share": None if one.share is None else _number(one.share),
            }
            for one in unit.holders
        ],
    }


# --- teams ------------------------------------------------------------------------------------------------------------


def _team(team: Team, marks: Mapping[str, str], place: int) -> dict[str, Data]:
    bound = gpu_bound(team)
    return {
        "name": team.name,
        "mark": marks[team.name],
        "colour": place % COLOURS,
        "pattern": place // COLOURS % PATTERNS,
        "pool": team.pool,
        "mode": team.mode,
        "namespace": team.namespace,
        "api": team.api,
        "made": _moment(team.made),
        "kubernetes": team.kubernetes,
        "vcluster": team.vcluster,
        "kaiVersion": team.kai_version,
        "kai": [_component(one) for one in team.kai],
        "gpus": None if bound is None else [_number(bound[0]), _number(bound[1])],
        "pods": dict(Counter(pod.state for pod in team.pods if not pod.ours)),
        "queues": [_queue(queue) for queue in _in_order(team.queues)],
        "check": None if team.check is None else _check(team.check),
    }


def _component(one: Component) -> dict[str, Data]:
    return dict(asdict(one))


def _check(check: Check) -> dict[str, Data]:
    found: list[Data] = [dict(asdict(one)) for one in check.findings]
    return {"verdict": check.verdict, "at": _moment(check.at), "sentence": check.sentence, "findings": found}


def _in_order(queues: Sequence[Queue]) -> Iterator[Queue]:
    """Each parent before its leaves."""
    names = {queue.name for queue in queues}
    for queue in queues:
        if queue.parent not in names:
            yield queue
            yield from (leaf for leaf in queues if leaf.parent == queue.name and leaf.name != queue.name)


def _queue(queue: Queue) -> dict[str, Data]:
    return {
        "name": queue.shown,
        "leaf": bool(queue.parent),
        "priority": queue.priority,
        **{
            word: _number(value)
            for word, value in (
                ("quota", queue.quota),
                ("limit", queue.limit),
                ("weight", queue.weight),
                ("used", queue.used),
                ("borrowed", queue.borrowed),
                ("waiting", queue.waiting),
            )
        },
    }
