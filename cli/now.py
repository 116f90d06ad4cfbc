"""What a snapshot adds to the table of `status`: ages, versions, pods by state, KAI's parts, who shares which GPU.

Owns: their text and their JSON. Leaves to others: the snapshot (`seen`), the table (`status.py`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from capacity import listed, plural
from cli import say
from cli.driver import Place, TeamState
from cli.look import View
from cli.status import Row, age, broken, pairs, rows, rows_of_state, show
from cli.why import tell_unseen, wrapped
from names import Object
from seen.model import GpuState, Node, Pool, Seen, Team, Unit

UNKNOWN: Final = "-"
SECONDS_BETWEEN: Final = 5.0
"""For `WATCH=1`: a look costs each API server a dozen lists."""


def show_now(view: View, place: Place, states_: Mapping[str, TeamState], *, as_json: bool) -> None:
    seen = view.seen
    table = rows(place.platform, states_, now=seen.at) if place.whole else rows_of_state(states_, now=seen.at)
    table = [with_facts(row, seen) for row in table]
    if as_json:
        say.result(json_of(view, table))
        return
    show(table, stack=place.stack, now=seen.at, more=f", host Kubernetes {seen.kubernetes}" if seen.kubernetes else "")
    out = say.console(result=True)
    for line in lines(view):
        say.result(wrapped(line))
    if text := pairs(states_, out.width) + broken(states_):
        say.result(text)
    tell_unseen([f"{gap.what} ({gap.why})" for gap in seen.gaps])


def with_facts(row: Row, seen: Seen) -> Row:
    team = seen.team(row.team)
    if team is None:
        return row
    leaves = [queue for queue in team.queues if queue.parent]
    used = sum(pod.share for pod in team.pods if pod.holds and not pod.ours)
    return replace(
        row,
        api=team.api,
        age=age(seen.at - team.made) if team.made else UNKNOWN,
        namespace=team.namespace,
        vcluster=team.vcluster or UNKNOWN,
        kubernetes=team.kubernetes or UNKNOWN,
        used=f"{used:g}",
        queues=", ".join(f"{q.shown} {q.used:g}/{q.quota:g}/{q.limit:g}" for q in leaves) or row.queues,
        pods=", ".join(f"{number} {state}" for state, number in states(team).items()) or UNKNOWN,
        kai=kai_of(team),
    )


def states(team: Team) -> dict[str, int]:
    """The number of the team's own pods by state, as kubectl names it."""
    return dict(Counter(pod.state for pod in team.pods if not pod.ours).most_common())


def kai_of(team: Team) -> str:
    """KAI's parts: how many are ready, and which are not."""
    wanted = [one for one in team.kai if one.wanted or not one.ready]
    down = [one.name for one in wanted if one.ready < one.wanted or not one.wanted]
    if not wanted:
        return UNKNOWN
    return f"{len(wanted) - len(down)} of {len(wanted)} ready" + (f", not: {' '.join(down)}" if down else "")


def lines(view: View) -> Iterator[str]:
    """The pools, who shares a GPU, and what waits; each line on its own."""
    yield from (f"pool {pool.name or '(none)'}: {said}" for pool in view.seen.pools for said in _pool(pool))
    for node in view.seen.nodes:
        yield from (f"shared on {node.name}: {_shared(unit)}" for unit in node.units if unit.group)
    for team in view.seen.teams:
        if waiting := [f"{one.namespace}/{one.pod} ({one.id})" for one in view.whys(team)]:
            why = f"`make why STACK={view.seen.stack} TEAM={team.name}`"
            yield f"team {team.name} waits: {listed(waiting, 3)}; {why}"


def _pool(pool: Pool) -> Iterator[str]:
    if not pool.nodes:
        yield "no node is seen"
    for node in pool.nodes:
        units = Counter(unit.state for unit in node.units)
        held = Counter(holder.team or "the host" for unit in node.units for holder in unit.holders if not unit.group)
        said = [f"{count} {team}" for team, count in sorted(held.items())]
        shared = sum(bool(unit.group) for unit in node.units)
        said += [f"{shared} shared"] if shared else []
        said += [f"{units[state]} {state}" for state in (GpuState.FREE, GpuState.UNHEALTHY) if units[state]]
        there = f"{len(node.units)} {plural(pool.unit, len(node.units))}"
        yield f"{node.name} {_node(node)}, {there}: {', '.join(said) or 'none'}"


def _node(node: Node) -> str:
    return "cordoned" if node.cordoned else "ready" if node.ready else "NOT READY"


def _shared(unit: Unit) -> str:
    held = [f"{h.team or 'host'} {h.namespace}/{h.pod} {_number(h.share)}" for h in unit.holders]
    return f"{unit.uuid or unit.group}: {', '.join(held) or 'reserved, nobody on it yet'} ({1 - unit.taken:.2g} free)"


def _number(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:g}"


def json_of(view: View, rows: Sequence[Row]) -> str:
    """Everything as JSON. A GPU's `uuid` and `group` are known where fractions share it."""
    seen = view.seen
    teams = [{**vars(row), **_team_json(view, row.team)} for row in rows]
    pools = [{"name": pool.name, "nodes": [_node_json(node) for node in pool.nodes]} for pool in seen.pools]
    gaps = [{"what": gap.what, "why": gap.why} for gap in seen.gaps]
    body = {"stack": seen.stack, "at": seen.at.isoformat(), "kubernetes": seen.kubernetes or None}
    return json.dumps({**body, "pools": pools, "teams": teams, "notSeen": gaps}, indent=2)


def _team_json(view: View, name: str) -> Object:
    team = view.seen.team(name)
    if team is None:
        return {}
    return {
        "made": team.made.isoformat() if team.made else None,
        "podsByState": states(team),
        "kaiParts": [vars(part) for part in team.kai],
        "queueNumbers": [{**vars(queue), "borrowed": queue.borrowed} for queue in team.queues],
        "waiting": [vars(one) for one in view.whys(team)],
    }


def _node_json(node: Node) -> Object:
    units = [{**vars(unit), "holders": [vars(holder) for holder in unit.holders]} for unit in node.units]
    return {"name": node.name, "ready": node.ready, "cordoned": node.cordoned, "product": node.product, "gpus": units}


def watch(draw: Callable[[], None], pause: Callable[[float], None]) -> None:
    """Repeat until Ctrl-C; in a terminal each time from the top."""
    out = say.console(result=True)
    try:
        while True:
            if out.is_terminal:
                out.clear()
            draw()
            pause(SECONDS_BETWEEN)
    except KeyboardInterrupt:
        return
