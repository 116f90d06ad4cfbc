"""`why` and `would`: messages about pods that wait, that were evicted, and that do not exist yet."""

from __future__ import annotations

import difflib
import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

from capacity import listed, parse_quantity
from cli import say
from cli.errors import CommandError, InputError
from cli.look import View
from lenient import condition, name, namespace, text
from names import SHARED_NAMESPACES
from seen.model import Gap, Team
from seen.pods import containers, pod_of
from seen.why import NoSuchPodError, Request, Why, for_team, leaves_of, why, would
from settings.types import MOST_GPUS

MOST_NAMES: Final = 10
MOST_PODS: Final = 3


def add_request(command: ArgumentParser) -> None:
    command.add_argument(
        "--gpus", type=_gpus, metavar="N", help="whole GPUs in one pod; default 1, 0 of a team without"
    )
    command.add_argument("--fraction", type=_share, metavar="F", help="a share of one GPU, above 0 and below 1")
    command.add_argument("--queue", default="", metavar="NAME", help="a leaf queue; default: any that lets it through")
    command.add_argument("--cpu", type=_quantity, default="1", help="CPUs, like 4 or 500m; default 1")
    command.add_argument("--memory", type=_quantity, default="1Gi", help="memory, like 16Gi; default 1Gi")


def request_of(options: Namespace) -> Request:
    return Request(
        gpus=options.gpus, fraction=options.fraction, queue=options.queue, cpu=options.cpu, memory=options.memory
    )


def _gpus(text: str) -> int:
    if not text.isdecimal() or not int(text) <= MOST_GPUS:
        raise ArgumentTypeError(f"{text!r} is no number of GPUs; write a whole number from 0 to {MOST_GPUS}")
    return int(text)


def _share(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise ArgumentTypeError(f"{text!r} is no share of a GPU; write a number between 0 and 1, like 0.5")
    return found


def _quantity(text: str) -> str:
    try:
        parse_quantity(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def teams_of(view: View, named: str, stack: str) -> list[Team]:
    """The team of that name; without a name every team. Raises `InputError`."""
    if not named:
        return list(view.seen.teams)
    found = view.seen.team(named)
    if found is None:
        known = ", ".join(team.name for team in view.seen.teams) or "(none)"
        raise InputError(f"there is no team {named!r} in stack {stack}.", f"TEAM=<team> with one of: {known}")
    return [found]


def show_why(view: View, team: str, pod: str, *, stack: str, as_json: bool) -> None:
    """Say why the pods of a name wait; without a name, every pod that waits, and evicted pods."""
    teams = teams_of(view, team, stack)
    if pod and len(teams) > 1:
        raise InputError("POD needs its TEAM.", f"`make why STACK={stack} TEAM=<team> POD={pod}`")
    waiting = _named(view, teams[0], pod, stack) if pod else [one for each in teams for one in view.whys(each)]
    gone = [] if pod else [one for each in teams for one in view.lost(each)]
    own = [] if team or pod else list(_of_the_host(view))
    unseen = unseen_of(view.seen.gaps, [each.name for each in teams])
    if as_json:
        say.result(
            json.dumps(
                {
                    "waiting": list(map(asdict, waiting)),
                    "lost": list(map(asdict, gone)),
                    "host": own,
                    "notSeen": unseen,
                },
                indent=2,
            )
        )
        return
    for one in own:
        say.result(wrapped(f"the host, {one['namespace']}/{one['pod']}: {one['cause']}"))
    _tell(waiting)
    if gone:
        say.result("evicted by KAI in the last hour:")
        _tell(gone)
    if not waiting and not gone and not own:
        nothing = "no pod waits, as far as can be seen" if unseen else "nothing waits"
        say.result(f"{pod} does not wait" if pod else nothing)
    tell_unseen(unseen)


def _of_the_host(view: View) -> Iterator[dict[str, str]]:
    """The waiting pods of the host's own checks, its KAI and its GPU software, on which every team depends."""
    for pod in view.look.host.all("pods"):
        known = pod_of(None, pod, team="")
        if namespace(pod) in SHARED_NAMESPACES and known.waits:
            waiting = (text(one, "state", "waiting", "message") for one in containers(pod))
            said = text(condition(pod, "PodScheduled"), "message") or next((one for one in waiting if one), "")
            cause = f"{known.state}{': ' if said else ''}{said}"
            yield {"namespace": namespace(pod), "pod": name(pod), "cause": cause}


def _named(view: View, team: Team, pod: str, stack: str) -> list[Why]:
    try:
        return why(view.look, view.seen, team, pod)
    except NoSuchPodError as error:
        if any(gap.what == f"team {team.name}: everything" for gap in view.seen.gaps) and not error.names:
            raise CommandError(
                f"the pods of team {team.name} can't be seen: its API is {team.api}.",
                f"see team-{team.name} on the host: `make why STACK={stack} TEAM={team.name}` tells what can be seen",
            ) from None
        near = difflib.get_close_matches(pod, error.names, MOST_NAMES, 0.4) or error.names[:MOST_NAMES]
        raise InputError(
            f"team {team.name} has no pod {pod!r}, and nothing that makes pods has that name.",
            f"POD=<name> or POD=<namespace>/<name>, there are: {', '.join(near) or '(none)'}",
        ) from None


def _tell(answers: Sequence[Why]) -> None:
    """Print each cause once, with all its pods."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in answers:
        alike.setdefault((one.team, one.cause, one.fix), []).append(f"{one.namespace}/{one.pod}")
    for (team, cause, fix), pods in alike.items():
        say.result(wrapped(f"team {team}, {listed(pods, MOST_PODS)}: {cause}"))
        say.result(wrapped(f"fix: {fix}", say.INDENT))


def wrapped(text: str, indent: str = "") -> str:
    """A text in lines of the terminal's width, without broken words."""
    return "\n".join(say.wrapped(say.told(text), say.console(result=True).width, indent))


def unseen_of(gaps: Sequence[Gap], teams: Sequence[str]) -> list[str]:
    """What can't be read of the host and of these teams."""
    mine = ("host", *(f"team {team}" for team in teams))
    return [f"{gap.what} ({gap.why})" for gap in gaps if gap.what.partition(":")[0] in mine]


def tell_unseen(unseen: Sequence[str]) -> None:
    """Report what can't be read, on standard error; the rest is the result."""
    for one in unseen:
        say.line(f"not seen: {one}")


def show_would(view: View, team: str, request: Request, *, stack: str, as_json: bool) -> None:
    """Say whether a pod like this would be placed now, and if not, why."""
    if not team:
        raise InputError("no team is named.", f"`make would STACK={stack} TEAM=<team> GPUS=2`")
    (found,) = teams_of(view, team, stack)
    leaves, request = leaves_of(found), for_team(found, request)
    if request.queue and leaves and request.queue not in leaves:
        fix = f"QUEUE=<queue> with one of: {', '.join(leaves)}"
        raise InputError(f"team {team} has no queue {request.queue!r}.", fix)
    answer, unseen = would(view.look, view.seen, found, request), unseen_of(view.seen.gaps, [team])
    if as_json:
        body = {"would": answer.why is None, "queue": answer.queue, "node": answer.node, "note": answer.note}
        refusal = {"id": answer.why.id, "cause": answer.why.cause, "fix": answer.why.fix} if answer.why else {}
        say.result(json.dumps({**body, **refusal, "notSeen": unseen}, indent=2))
        return
    queue = f" in queue {answer.queue}" if answer.queue else ""
    what = f"with {request.gpus} GPU{'' if request.gpus == 1 else 's'}" if request.gpus else "without a GPU"
    if request.fraction is not None:
        what = f"with {request.fraction:g} of a GPU"
    if answer.why is None:
        where = f", on node {answer.node}" if answer.node else ""
        say.result(wrapped(f"yes: a pod of team {team} {what}{queue} would be placed now{where}"))
    else:
        say.result(wrapped(f"no: a pod of team {team} {what}{queue} would wait: {answer.why.cause}"))
        say.result(wrapped(f"fix: {answer.why.fix}", say.INDENT))
    if answer.note:
        say.result(wrapped(f"note: {answer.note}", say.INDENT))
    tell_unseen(unseen)
