"""A refusal's words: told by the program, found again by the commands, lifted by an override until its last day."""

from __future__ import annotations

from datetime import date

from cli.guards.refusal import HEADING, Refusal, ends, from_words, in_words, lifted, line_for, line_for_team
from settings.models import Override

TODAY = date(2026, 11, 26)
ONE = Refusal(cause="team ml is left out", fix="put it back")
TWO = Refusal(cause="preflight, node gpu-0: is not Ready", fix="look at it; or for a while `- {allow: [preflight]}`")


def override(*allow: str, of: tuple[str, ...] = (), until: date = TODAY) -> Override:
    return Override.model_validate({"allow": allow, "of": of, "until": until, "reason": "agreed with everybody"})


def test_the_commands_find_in_the_engine_s_output_what_the_program_refused() -> None:
    said = "\n    ".join(in_words([ONE, TWO]).splitlines())
    output = (
        f" +  pulumi:pulumi:Stack gpu-tenancy-dev create error: {HEADING}\n"
        " +  pulumi:pulumi:Stack gpu-tenancy-dev create 2 errors\n"
        f"Diagnostics:\n  pulumi:pulumi:Stack (gpu-tenancy-dev):\n    error: {said}\n"
        "    error: an unhandled error occurred: program exited with non-zero exit code: 1\n"
    )
    assert from_words(output) == [ONE, TWO]


def test_what_both_phases_of_a_run_refuse_is_told_once() -> None:
    assert from_words(f"{in_words([ONE])}\n\n{in_words([ONE])}\n") == [ONE]


def test_other_failures_are_no_refusals() -> None:
    assert from_words("Diagnostics:\n  x:\n    error: - nothing of ours\n") == []
    assert from_words("Resources:\n- ml: to be made. Fix: none\n") == []


def test_a_suggested_override_has_days_left_and_is_a_valid_one() -> None:
    assert ends(TODAY) > TODAY
    line = line_for_team("ml", "delete", TODAY, "the team is dissolved")
    assert line == "`- {team: ml, allow: [delete], until: 2026-12-03, reason: the team is dissolved}`"
    assert line_for("preflight", ["node-full"], TODAY, "...") == (
        "`- {allow: [preflight], of: [node-full], until: 2026-12-03, reason: ...}`"
    )


def test_an_override_holds_on_its_last_day_and_for_what_it_names() -> None:
    assert lifted("preflight", [override("preflight", of=("a", "b"))], TODAY) == frozenset({"a", "b"})
    assert lifted("preflight", [override("preflight", of=("a",), until=date(2026, 11, 25))], TODAY) is None
    assert lifted("preflight", [override("quotaRules", of=("a",))], TODAY) is None
    assert lifted("anotherCluster", [override("anotherCluster")], TODAY) == frozenset()
