"""What the accounts of a GPU check's pods may do, whole."""

from __future__ import annotations

from components.check import job
from tests.components.test_job import PAIR, REQUEST, Spec


def rule(resource: str, *verbs: str, name: str | None = None, group: str = "") -> Spec:
    names = {} if name is None else {"resourceNames": [name]}
    return {"apiGroups": [group], "resources": [resource], **names, "verbs": list(verbs)}


class TestRights:
    """Each account may do what it needs, and nothing of KAI's is read by anybody."""

    WATCH = (
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
        rule("jobs", "get", name="gpu-check", group="batch"),
    )
    OWN = rule("configmaps", "create", "get", "patch", name="gpu-check-report")

    def test_an_asking_pod_writes_its_own_report(self) -> None:
        assert job.probe_rules(REQUEST) == [self.OWN]

    def test_half_of_a_pair_also_sees_when_it_may_go(self) -> None:
        own = rule("configmaps", "create", "get", "patch", name="gpu-check-report-1")
        seen = rule("configmaps", "get", name="gpu-check-report")
        assert job.probe_rules(job.asked(PAIR)[0]) == [own, seen]

    def test_the_verdict_sees_why_a_pod_waits(self) -> None:
        assert job.verdict_rules(REQUEST) == [self.OWN, *self.WATCH]
        halves = [rule("configmaps", "get", name=f"gpu-check-report-{index}") for index in (1, 2)]
        assert job.verdict_rules(PAIR) == [self.OWN, *halves, *self.WATCH]

    def test_of_a_pair_it_makes_and_takes_away_one_pod_in_the_second_namespace(self) -> None:
        third = rule("pods", "get", "delete", name="gpu-check-third")
        assert job.third_rules(PAIR) == [*self.WATCH, rule("pods", "create"), third]
