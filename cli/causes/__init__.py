"""What a failed run of the engine means: cause first, each cause once, with one fix.

Owns: choosing the first sentence, and grouping teams with the same cause. `known.py` has the table of messages,
`reading.py` reads the engine's output.
Leaves to others: running the engine (`engine.py`), watching pods meanwhile (`waiting.py`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import tokens
from capacity import listed
from cli.causes.known import ECHOES, KNOWN, REFUSED, host_of, image_of, why_of
from cli.causes.reading import ECHO, Diagnostic, diagnostics, first_error, mandatory_violations, step_of, team_of
from hints import filled
from names import team_namespace

UNKNOWN: Final = "unknown"
NO_NAMESPACE: Final = "team-<team>"
CANCELED: Final = re.compile(r"context canceled$")
"""The engine's message for operations that it was running when something else failed."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One thing that went wrong, in words. `team` is None if it is not about one team; `others` failed the same way."""

    id: str
    team: str | None
    step: str
    cause: str
    fix: str
    others: tuple[str, ...] = ()

    @property
    def teams(self) -> tuple[str, ...]:
        """Every team that failed in this way."""
        return (self.team, *self.others) if self.team else ()

    def __str__(self) -> str:
        if not self.team:
            return f"{self.step}: {self.cause}"
        if not self.others:
            return f"team {self.team}, {self.step}: {self.cause}"
        return f"teams {listed(self.teams)}, {self.step}: {self.cause}"


def explain(text: str, *, tenants: Sequence[str], stack: str, seen: Sequence[Failure] = ()) -> list[Failure]:
    """Return what went wrong, the most helpful first: known causes in the table's order, then unknown ones.

    There is one failure for each cause, with all teams that share it. `text` is the engine's whole output. Where its
    diagnostics are empty (a policy's refusal is elsewhere), the text itself is searched. `seen`: what was seen of pods
    while the engine waited for them; the engine itself only says that it waited too long.
    """
    refused = policy_violations(text, tenants, stack)
    if refused:
        return refused
    whole = Diagnostic(token=tokens.STACK, name=stack, text=text)
    said = _explain(_without_last_words(diagnostics(text)), tenants, stack) or _explain([whole], tenants, stack)
    return distinct([*seen, *said], tenants)


def distinct(failures: Sequence[Failure], tenants: Sequence[str]) -> list[Failure]:
    """Return each cause once, the most helpful first, with every team that has it. Mere consequences are left out."""
    ranks = {known.id: rank for rank, known in enumerate(KNOWN)}
    ordered = sorted(failures, key=lambda failure: ranks.get(failure.id, len(KNOWN)))
    return _together(_without_echoes(ordered), tenants)


def failure_of(
    text: str, *, team: str | None, step: str, stack: str, namespace: str = "", ids: Container[str] | None = None
) -> Failure | None:
    """Return what one message means, None where it is not known.

    `namespace`: that of the pods on the host that it is about; default: the team's. `ids`: the possible causes;
    default: all.
    """
    space = namespace or (team_namespace(team) if team else NO_NAMESPACE)
    for known in KNOWN:
        match = known.pattern.search(text) if ids is None or known.id in ids else None
        if match is not None:
            words = _words(match, text, team=team, stack=stack, namespace=space)
            cause, fix = filled(known.cause, **words).strip(), filled(known.fix, **words)
            return Failure(id=known.id, team=team, step=step, cause=cause, fix=fix)
    return None


def policy_violations(text: str, tenants: Sequence[str], stack: str) -> list[Failure]:
    """Return the mandatory violations of the policy pack, in the order of the engine's output."""
    # the same violation is found on a component and on its resources
    found: dict[str, Failure] = {}
    for rule, resource, message in mandatory_violations(text):
        found.setdefault(
            message,
            Failure(
                id="policy",
                team=team_of(resource, tenants),
                step=f"policy {rule}",
                cause=message,
                fix="do what the violation says; nothing was changed. The rule's level and limits for this stack stand "
                f'in policies/config/{stack}.json (else in prod.json), below "{rule}"',
            ),
        )
    return _together(list(found.values()), tenants)


def _without_last_words(entries: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Leave out the program's last error where it only repeats the error of a resource."""
    said = [(entry, first_error(entry.text)) for entry in entries]
    told = {words for entry, words in said if entry.token != tokens.STACK}
    return [entry for entry, words in said if entry.token != tokens.STACK or not (ECHO.match(words) or words in told)]


def _explain(entries: Iterable[Diagnostic], tenants: Sequence[str], stack: str) -> list[Failure]:
    result: list[Failure] = []
    for entry in entries:
        team, step = team_of(entry.name, tenants), step_of(entry.token, entry.name)
        failure = failure_of(entry.text, team=team, step=step, stack=stack)
        said = first_error(entry.text)
        # the stack's own "update failed" only says that something else failed
        if failure is None and said and said not in ("update failed", "preview failed"):
            fix = f"see the engine's own words below, then `make up STACK={stack}` goes on from here"
            failure = Failure(id=UNKNOWN, team=team, step=step, cause=said, fix=fix)
        if failure is not None:
            result.append(failure)
    return result


def _without_echoes(failures: Sequence[Failure]) -> list[Failure]:
    """Leave out consequences: a team whose image is missing is also "not ready in time"."""
    whole = [failure for failure in failures if not (failure.id == UNKNOWN and CANCELED.search(failure.cause))]
    telling = {failure.team for failure in failures if failure.id not in ECHOES and failure.id != UNKNOWN}
    return [failure for failure in whole or failures if failure.id not in ECHOES or failure.team not in telling]


def _together(failures: Sequence[Failure], tenants: Sequence[str]) -> list[Failure]:
    """Group teams with the same cause into one failure, in the order of the first."""
    alike: dict[tuple[str, str, str], Failure] = {}
    for failure in failures:
        key = (failure.id, failure.step if failure.id == UNKNOWN else "", _of_any_team(failure, tenants))
        first = alike.setdefault(key, failure)
        if failure.team and failure.team not in first.teams and first.team:
            alike[key] = replace(first, others=(*first.others, failure.team))
    return list(alike.values())


def _of_any_team(failure: Failure, tenants: Sequence[str]) -> str:
    """The cause without the team's name, so that the same cause of two teams is equal."""
    if failure.team is None or failure.team not in tenants:
        return failure.cause
    return re.sub(rf"(?<![a-z0-9]){re.escape(failure.team)}(?![a-z0-9])", "<team>", failure.cause)


def _words(match: re.Match[str], text: str, *, team: str | None, stack: str, namespace: str) -> dict[str, str]:
    groups = {key: value.strip().replace("\\", "") for key, value in match.groupdict().items() if value}
    host = host_of(text)
    image = image_of(text)
    login = filled(
        "`helm registry login {host}`, or `helm registry logout {host}` where a stale login is kept; ", host=host
    )
    return {
        **dict.fromkeys(("object", "hook", "port", "rest", "when", "module", "kind", "what", "policy", "taint"), ""),
        "path": "no chart is there",
        "namespace": namespace,
        **groups,
        "team": team or "<team>",
        "stack": stack,
        "host": host or "its registry",
        "why": why_of(text),
        "name": groups.get("name") or groups.get("named") or "",
        "login": login if REFUSED.search(text) and not image and host else "",
        "image": f"image {image}" if image else "an image",
        "thing": groups.get("object") or groups.get("other") or "an object",
        "room": groups.get("resource")
        or groups.get("short")
        or groups.get("lack")
        or ("pods" if "many" in groups else ""),
    }
