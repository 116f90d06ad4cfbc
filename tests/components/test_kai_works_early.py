"""Where KAI works before Helm has ended, its queues and its check's pod don't wait for Helm; the verdict does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

import kube
from tests import recording
from tests.components.program import lab
from tests.components.specs import plain
from tests.conftest import Declare
from tests.recording import AtOnce, Recorder, RecordingMonitor, not_waiting

RELEASE = "ml-scheduler-release"
FAILED = f"resource {RELEASE} [kubernetes:helm.sh/v3:Release] failed to register"
QUEUES = {"ml-queues-parent", "ml-queues-training", "ml-queues-notebooks"}
BESIDE_HELM = QUEUES | {"ml-check-job"}
AFTER_HELM = {"ml-check-verdict", "ml-scheduler-owned-kinds", "ml-scheduler-topology-a100"}
CHECKED = lab("ml", checked=True, teams__ml__check={"gpus": 1})
QUIET_TURNS = 200
"""Of the event loop, in which nothing is registered: then all that can be is."""

Seen = list[set[str]]


@pytest.fixture
def before_helm_ended(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What was registered when the engine at last answered that the Release is there, or has failed. Before that the
    hook has run, as the engine runs it, and what is told to it."""
    seen: Seen = []
    recorders: list[Recorder] = []

    class Slowly(AtOnce):
        def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
            done = super().run_in_executor(executor, func, *args)
            failure = done.exception()
            about = str(failure) if failure else str(getattr(done.result(), "urn", ""))
            return self.create_task(self._late(done)) if RELEASE in about else done

        async def _late(self, done: asyncio.Future[Any]) -> Any:
            recorder = recorders[-1]
            await recorder.hooks.by_name["ml-scheduler-sweep"].callback(None)
            known, quiet = 0, 0
            while quiet < QUIET_TURNS:
                await asyncio.sleep(0)
                quiet = quiet + 1 if known == len(recorder.resources) else 0
                known = len(recorder.resources)
            seen.append({each.name for each in recorder.resources})
            return await done

    def noted(recorder: Recorder, fails: str, absent: str) -> RecordingMonitor:
        recorders.append(recorder)
        return RecordingMonitor(recorder, fails, absent)

    monkeypatch.setattr(recording, "AtOnce", Slowly)
    monkeypatch.setattr("tests.conftest.RecordingMonitor", noted)
    monkeypatch.setattr(kube, "delete_leftovers", not_waiting)
    return seen


@pytest.fixture
def early(before_helm_ended: Seen, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """As above, for a KAI that works before Helm has ended."""
    monkeypatch.setattr(kube, "apply_beside_helm", lambda *given: given[-1]())
    return before_helm_ended


@pytest.fixture
def late(before_helm_ended: Seen, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """As above, for a KAI of which nobody says that it works."""
    monkeypatch.setattr(kube, "apply_beside_helm", not_waiting)
    return before_helm_ended


def registered(recorder: Recorder) -> set[str]:
    return {each.name for each in recorder.resources}


def trigger(recorder: Recorder, name: str) -> str:
    """What the engine compares with the last run's, to know whether to replace; empty where there is nothing."""
    options: Any = next(each for each in recorder.resources if each.name == name).options
    return str(options.replacement_trigger.string_value)


def test_its_queues_and_what_asks_for_a_gpu_do_not_wait_for_helm_and_the_verdict_does(
    declare: Declare, early: Seen
) -> None:
    recorder = declare(CHECKED, stack="early")
    assert early[0] >= BESIDE_HELM
    assert not early[0] & AFTER_HELM
    assert registered(recorder) >= BESIDE_HELM | {"ml-check-verdict"}
    # the engine can't write down what depends on something that is not there yet
    ahead = [each for each in recorder.resources if each.name in BESIDE_HELM]
    assert not [each.name for each in ahead if any(urn.endswith(f"::{RELEASE}") for urn in each.dependencies)]


def test_where_nobody_says_that_kai_works_all_waits_for_helm(declare: Declare, late: Seen) -> None:
    recorder = declare(CHECKED, stack="late")
    assert not late[0] & (BESIDE_HELM | AFTER_HELM)
    assert registered(recorder) >= BESIDE_HELM | {"ml-check-verdict"}


def test_a_release_that_fails_after_all_leaves_no_verdict_and_is_the_one_failure(declare: Declare, early: Seen) -> None:
    recorder = declare(CHECKED, stack="early-failed", fails=RELEASE)
    assert early[0] >= BESIDE_HELM
    assert not registered(recorder) & AFTER_HELM
    own = [plain(told) for urn, told in recorder.outputs.items() if "index:Team::" in urn]
    assert [(told["failed"], told.get("check")) for told in own] == [([FAILED], None)]


def test_a_check_that_asked_the_kai_of_another_install_asks_again_and_one_of_no_new_install_does_not(
    declare: Declare, early: Seen
) -> None:
    one, two = (trigger(declare(CHECKED, stack=f"early-{n}"), "ml-check-job") for n in "ab")
    assert one
    assert two
    assert one != two, "the engine replaces what has another one than in the state"


def test_a_preview_of_an_install_shows_that_a_check_asks_again(declare: Declare) -> None:
    to_come = trigger(declare(CHECKED, preview=True, absent=RELEASE), "ml-check-job")
    assert to_come == pulumi.runtime.rpc.UNKNOWN, "the engine shows a replacement of what it has already"
    assert trigger(declare(CHECKED, preview=True), "ml-check-job") == ""


def test_an_update_that_installs_no_kai_asks_for_nothing_again(declare: Declare) -> None:
    assert trigger(declare(CHECKED), "ml-check-job") == ""


def test_a_pair_which_holds_its_place_until_the_verdict_waits_for_helm(declare: Declare, early: Seen) -> None:
    pair = {"pair": [0.3, 0.5]}
    data = lab("ml", checked=True, teams__ml__check=pair, teams__ml__scheduler__gpuSharing=True)
    recorder = declare(data, stack="early-pair")
    assert early[0] >= QUEUES
    assert "ml-check-job" not in early[0]
    assert registered(recorder) >= {"ml-check-job", "ml-check-job-1", "ml-check-verdict"}


def test_workloads_of_a_team_without_a_check_wait_for_helm(declare: Declare, early: Seen) -> None:
    app = {"web": {"kind": "app", "queue": "training", "cpu": "100m", "memory": "128Mi"}}
    recorder = declare(lab("ml", teams__ml__workloads=app), stack="early-app")
    assert early[0] >= QUEUES
    assert not [name for name in early[0] if name.startswith("ml-workloads-web-")]
    assert [name for name in registered(recorder) if name.startswith("ml-workloads-web-")]
