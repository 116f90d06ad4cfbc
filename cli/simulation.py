"""The lab behind the commands' protocol, with the same messages and errors.

Owns: turning the lab's summaries into lines and its errors into `CommandError`.
Leaves to others: the lab itself (`lab/driver.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from cli import say
from cli.cluster import Identity, target_of
from cli.driver import Driver, Place, Reach, TeamState
from cli.engine import HIDDEN_OUTPUTS, MASKED
from cli.errors import CommandError, InputError
from cli.guards.levels import levels_of
from cli.reach import kubeconfig_in, reach_of
from cli.shown import advise, show_preview
from cli.status import team_states
from lab.clusters import HOST
from lab.driver import LabDriver, Summary
from lab.engine import Recorded
from lab.errors import FIX, LabError, RefusedChangeError
from names import JSON
from policies.inventory import PolicyResource
from policies.plain import plain_properties
from policies.run import evaluate, lines
from preview.grouped import grouped


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except RefusedChangeError as error:
        first, *others = [refusal.text for refusal in error.refusals]
        raise InputError(f"refused, nothing was changed: {first}", error.fix, detail=also(others)) from None
    except LabError as error:
        raise CommandError(error.cause, error.fix) from None


def also(causes: Sequence[str]) -> str:
    return "\n".join(f"also: {cause}" for cause in causes)


def resources_of(recorded: Iterable[Recorded]) -> list[PolicyResource]:
    """Return what the lab recorded as resources to judge, without what is deleted or only read."""
    return [
        PolicyResource(
            type=item.type, name=item.name, urn=item.urn, parent=item.parent, properties=plain_properties(item.inputs)
        )
        for item in recorded
        if item.op not in ("delete", "read")
    ]


class LabBridge(Driver):
    """The lab connects by itself, gets its programs itself, and refuses servers that it did not start."""

    says_first_line = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lab = LabDriver(place.stack, place.stack_file, place.root, policies=self._judged)

    def own_cluster(self) -> Identity | None:
        with _in_words():
            found = self._lab.clusters.find(HOST)
        return Identity(context=found.context, uid=found.uid, server_version="") if found else None

    def up(self) -> None:
        with _in_words():
            self._report(self._lab.up(), "up")

    def preview(self) -> None:
        with _in_words():
            summary = self._lab.preview()
            show_preview(summary.read(), self._place.platform, summary.usage)
            self._report(summary, "preview")

    def digest(self, out: Path) -> None:
        with _in_words():
            out.write_text(json.dumps(self._lab.preview().digest(), indent=1) + "\n", encoding="utf-8")

    def drifts(self) -> bool:
        """Nobody else changes a lab's cluster."""
        raise InputError(
            f"stack {self._place.stack} is a lab: nobody else changes it, so there is no drift to look for.",
            "ask for a stack on a cluster",
        )

    def _judged(self, recorded: Sequence[Recorded]) -> list[str]:
        """Run the policy pack's rules; return what blocks, print the rest."""
        levels = levels_of(self._place.platform, self._place.stack, date.today())
        results = evaluate(resources_of(recorded), levels)
        for result in results:
            if not result.blocks:
                advise(result.rule, (violation.message for violation in result.violations))
        say.line(lines(results)[-1])
        return [f"policy {r.rule}: {m}" for r in results if r.blocks for m in grouped(v.message for v in r.violations)]

    def _report(self, summary: Summary, what: str) -> None:
        """Report a run. Raises `CommandError` where it was refused or failed, with each cause once."""
        if what != "preview" and not summary.refusals and not summary.violations:
            say.line(f"lab: {what}: {summary.text()}")
        if summary.refusals:
            raise RefusedChangeError(summary.refusals)
        if summary.violations:
            raise CommandError(
                f"the policies refuse this, nothing was changed: {summary.violations[0]}",
                f"do what it says, or set the rule's level in policies/config/{self._place.stack}.json",
                detail=also(summary.violations[1:]),
            )
        if summary.failures:
            cause, _, fix = summary.failures[0].partition(FIX)
            again = f"run `make {what} STACK={self._place.stack}` again: the rest is as it should be"
            raise CommandError(cause, f"{fix.rstrip('.') or 'correct it'}; {again}", detail=also(summary.failures[1:]))

    def outputs(self) -> dict[str, JSON]:
        with _in_words():
            found = self._lab.outputs()
        shown = {key: value for key, value in found.items() if key not in HIDDEN_OUTPUTS and value != MASKED}
        shown.setdefault("teams", {})
        return shown

    def kubeconfig(self, team: str, *, user: bool) -> str:
        with _in_words():
            return kubeconfig_in(
                self._lab.outputs(show_secrets=True),
                team,
                user=user,
                platform=self._place.platform,
                stack=self._place.stack,
            )

    def reach(self) -> Reach:
        with _in_words():
            host = self._lab.host_kubeconfig()
        return reach_of(self._outputs(), self._place.platform, target_of(host, "the lab") if host else None)

    def states(self) -> dict[str, TeamState]:
        return team_states(self._outputs(), self._place.platform)

    def _outputs(self) -> dict[str, JSON]:
        with _in_words():
            try:
                return self._lab.outputs(show_secrets=True)
            except LabError:
                return {}

    def down(self) -> None:
        with _in_words():
            self._lab.down()

    def reset(self) -> None:
        """Throw the lab away, whatever state it is in."""
        with _in_words():
            self._lab.reset()
