"""The program's own guards, whoever calls it: everything is asked before anything is registered.

The engine's part (its state, whether it previews) is given; the cluster is a small API on loopback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pulumi
import pytest
import yaml

from cli.guards import program
from cli.guards.refusal import Refusal, RefusedError
from cli.guards.stamp import GOOD_FOR, RELEASED, VARIABLE, holds, stamp
from components.team.tenant import facts, resolve
from settings.load import parse_platform
from settings.models import Platform
from tests.cli.conftest import STACK_FILE
from tests.cli.fake_api import UID, FakeApi, kubeconfig, named, node

TODAY = date(2026, 11, 26)
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def platform(**changes: Any) -> Platform:
    data = yaml.safe_load(STACK_FILE)["config"]["gpu-tenancy:platform"]
    return parse_platform({**data, **changes}, "here")


@dataclass
class Engine:
    """What the engine would answer: the state of this stack, preview or not, what a killed run left."""

    state: Mapping[str, Any] = field(default_factory=dict)
    preview: bool = False
    killed: list[Refusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refusals(self) -> list[Refusal]:
        return self.killed


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    found = Engine()
    monkeypatch.setattr(program, "own_state", lambda: found.state)
    monkeypatch.setattr(program, "asked", lambda _: nullcontext(found))
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: found.preview)
    monkeypatch.setattr(pulumi.log, "warn", found.warnings.append)
    for name in (VARIABLE, RELEASED):
        monkeypatch.delenv(name, raising=False)
    return found


def refused(api: FakeApi, what: Platform | None = None, stack: str = "lab") -> list[str]:
    """The causes of what is refused; lab's levels are advisory."""
    try:
        program.guard(what or platform(), stack, kubeconfig(api.url), today=TODAY)
    except RefusedError as error:
        return [refusal.cause for refusal in error.refusals]
    return []


def reads_alone(api: FakeApi) -> bool:
    return {method for method, path in api.seen if path != REVIEWS} <= {"GET"}


def test_a_sound_stack_file_on_its_cluster_goes_through_and_nothing_is_changed(api: FakeApi, engine: Engine) -> None:
    assert refused(api) == []
    assert reads_alone(api)


def test_what_steers_kind_steers_no_cluster_of_another_kind(
    api: FakeApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
    assert refused(api) == []


def test_everything_that_is_refused_is_told_at_once(api: FakeApi, engine: Engine) -> None:
    api.objects["/api/v1/nodes"] = []
    engine.killed = [Refusal(cause="the last run was killed", fix="make up")]
    urn = "urn:pulumi:lab::gpu-tenancy::gpu-tenancy:index:Team::gone"
    engine.state = {urn: {"type": "gpu-tenancy:index:Team", "outputs": {"name": "gone"}}}
    data = yaml.safe_load(STACK_FILE)["config"]["gpu-tenancy:platform"]
    data["teams"]["ml"]["queues"]["training"] = {"gpu": {"quota": 1, "limit": -1}}
    found = refused(api, parse_platform(data, "here"), stack="prod")
    assert [cause.split(":")[0] for cause in found] == [
        "policy no-unlimited-gpu",
        "team gone is left out of the stack file, and it is protected against deletion",
        "the last run was killed",
        "preflight, pool a, node gpu-0",
    ]


def test_another_cluster_is_refused_and_not_compared(api: FakeApi, engine: Engine) -> None:
    name = "kubernetes:core/v1:Namespace"
    engine.state = {f"urn:x::y::{name}::host-uid": {"type": name, "outputs": {"metadata": {"uid": "another"}}}}
    assert refused(api) == [f"stack lab was made on cluster another, and context here is cluster {UID}"]
    assert REVIEWS not in {path for _, path in api.seen}


def test_what_another_stack_or_a_lost_state_left_is_refused_at_the_first_run(api: FakeApi, engine: Engine) -> None:
    ours = {"labels": {"app.kubernetes.io/managed-by": "gpu-tenancy"}}
    api.objects["/api/v1/namespaces"] = [named("Namespace", "v1", "team-ml", metadata=ours)]
    api.objects["/apis/node.k8s.io/v1/runtimeclasses"] = [
        named("RuntimeClass", "node.k8s.io/v1", "nvidia", handler="nvidia", metadata=ours)
    ]
    assert refused(api) == [
        "preflight, RuntimeClass nvidia: exists already, and this stack did not make it",
        "preflight, team ml: namespace team-ml exists already, and this stack did not make it (managed by gpu-tenancy)",
    ]
    kind = "gpu-tenancy:index:Team"
    engine.state = {f"urn:x::y::{kind}::ml": {"type": kind, "outputs": facts(resolve(platform())["ml"])}}
    assert refused(api) == []
    # after another stack's first run it is still not this one's
    engine.state = {"urn:x::y::pulumi:providers:kubernetes::host": {"type": "pulumi:providers:kubernetes"}}
    assert [cause.partition(":")[0] for cause in refused(api)] == ["preflight, team ml"]


def test_a_cluster_that_does_not_answer_is_one_line(engine: Engine) -> None:
    (cause,) = refused(FakeApi(url="http://127.0.0.1:1"))
    assert "the cluster is not reachable (context 'here'" in cause


def test_an_account_that_may_only_read_can_preview_and_not_update(api: FakeApi, engine: Engine) -> None:
    api.denied = {("create", "namespaces"), ("delete", "namespaces")}
    engine.preview = True
    assert refused(api) == []
    engine.preview = False
    assert refused(api) == ["preflight, right on namespaces: the context's user may not create or delete it"]


def test_a_finding_is_let_through_by_its_name_until_a_date(api: FakeApi, engine: Engine) -> None:
    api.objects["/api/v1/nodes"] = [node("gpu-0", gpus=4, status={"conditions": []})]
    assert refused(api) == ["preflight, pool a, node gpu-0: is not Ready"]
    through = {"allow": ["preflight"], "of": ["node-not-ready"], "until": "2026-11-26", "reason": "it comes back soon"}
    assert refused(api, platform(overrides=[through])) == []
    assert refused(api, platform(overrides=[{**through, "until": "2026-11-25"}])) != []
    assert refused(api, platform(overrides=[{**through, "of": ["node-full"]}])) != []


def test_what_only_needs_a_look_is_a_warning(api: FakeApi, engine: Engine) -> None:
    api.objects["/api/v1/nodes"] = [node("gpu-0", gpus=4, spec={"unschedulable": True})]
    assert refused(api) == []
    (warning,) = engine.warnings
    assert warning.startswith("preflight, pool a, node gpu-0: is cordoned; ")


def test_a_comparison_that_make_has_just_made_is_not_made_again(
    api: FakeApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.objects["/api/v1/nodes"] = []
    monkeypatch.setenv(VARIABLE, stamp(platform(), UID))
    assert refused(api) == []
    assert REVIEWS not in {path for _, path in api.seen}
    monkeypatch.setenv(VARIABLE, stamp(platform(), "another cluster"))
    assert refused(api) == ["preflight, pool a, node gpu-0: the cluster has no such node"]


def test_make_s_word_is_about_one_file_and_one_cluster_and_soon_forgotten() -> None:
    word = stamp(platform(), UID, at=1000)
    two = {"dev": {"resources": {"pods": 5}}, **yaml.safe_load(STACK_FILE)["config"]["gpu-tenancy:platform"]["teams"]}
    assert holds(word, platform(), UID, now=1000 + GOOD_FOR)
    assert not holds(word, platform(), UID, now=1001 + GOOD_FOR)
    assert holds(word, platform(), UID, now=1000)
    assert not holds(word, platform(), UID, now=999)
    assert not holds(word, platform(), "another", now=1000)
    assert not holds(word, platform(check={"host": False}), UID, now=1000)
    assert not holds(word.replace("1000", "1001"), platform(), UID, now=1001)
    others = platform(teams=dict(reversed(two.items()))), platform(teams=two)
    assert holds(stamp(others[0], UID, at=1000), others[1], UID, now=1000), "the order of the teams says nothing"
    dated = platform(
        overrides=[{"allow": ["preflight"], "of": ["node-missing"], "until": "2026-11-26", "reason": "it comes later"}]
    )
    assert holds(stamp(dated, UID, at=1000), dated, UID, now=1000)
    for nonsense in (None, "", "1", "x:y", ":"):
        assert not holds(nonsense, platform(), UID, now=1000)


def test_what_make_lets_go_and_clears_is_not_refused_by_the_program(
    api: FakeApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    urn = "urn:pulumi:lab::gpu-tenancy::gpu-tenancy:index:Team::gone"
    engine.state = {urn: {"type": "gpu-tenancy:index:Team", "outputs": {"name": "gone"}}}
    engine.killed = [Refusal(cause="the last run was killed", fix="make up")]
    let_go = {"team": "gone", "allow": ["delete"], "until": "2026-11-26", "reason": "it is dissolved"}
    monkeypatch.setenv(RELEASED, "gone")
    assert refused(api, platform(overrides=[let_go])) == []
    monkeypatch.setenv(RELEASED, "")
    assert len(refused(api, platform(overrides=[let_go]))) == 1


def test_a_lowered_limit_is_held_against_what_runs(api: FakeApi, engine: Engine) -> None:
    urn = "urn:pulumi:lab::gpu-tenancy::gpu-tenancy:index:Team::ml"
    engine.state = {urn: {"type": "gpu-tenancy:index:Team", "outputs": {"name": "ml", "gpuLimit": 4}}}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tenant", "namespace": "team-ml", "labels": {"gpu-tenancy/team": "ml"}},
        "status": {"used": {"requests.nvidia.com/gpu": "3"}},
    }
    api.objects["/api/v1/resourcequotas"] = [quota]
    assert refused(api) == ["team ml: lowers the GPU limit from 4 to 2, and 3 run now"]
    quota["status"] = {"used": {"requests.nvidia.com/gpu": "2"}}
    assert refused(api) == []


def test_the_error_is_the_program_s_one_line_each_with_its_fix(api: FakeApi, engine: Engine) -> None:
    api.objects["/api/v1/nodes"] = []
    with pytest.raises(RefusedError) as raised:
        program.guard(platform(), "lab", kubeconfig(api.url), today=TODAY)
    heading, line = str(raised.value).splitlines()
    assert heading == "refused before anything was changed:"
    assert line.startswith("- preflight, pool a, node gpu-0: the cluster has no such node. Fix: ")
    assert "`- {allow: [preflight], of: [node-missing], until: 2026-12-03, reason: ...}` below overrides" in line


def test_the_state_is_asked_of_the_engine_by_the_stack_s_full_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def invoke(token: str, arguments: dict[str, str]) -> Any:
        asked.extend([token, arguments])
        return type("Answer", (), {"value": {"name": "x", "outputs": {"urn": {"type": "t"}}}})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    monkeypatch.setattr(pulumi, "get_organization", lambda: "organization")
    monkeypatch.setattr(pulumi, "get_project", lambda: "gpu-tenancy")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    assert program.own_state() == {"urn": {"type": "t"}}
    assert asked == ["pulumi:pulumi:readStackResourceOutputs", {"stackName": "organization/gpu-tenancy/dev"}]


def test_a_word_to_the_program_holds_no_secret() -> None:
    assert json.dumps(stamp(platform(), UID)).count(":") == 1


def test_a_lab_is_refused_under_an_engine_and_nowhere_else() -> None:
    lab = platform(host={"provider": "lab"})
    program.refuse_the_lab(lab, "lab", simulated=True)
    program.refuse_the_lab(platform(), "lab", simulated=False)
    with pytest.raises(RefusedError, match=r"stack lab is a lab \(host.provider: lab\)"):
        program.refuse_the_lab(lab, "lab", simulated=False)


def test_what_must_be_done_before_a_change_is_done_before_it_and_not_at_a_preview(
    api: FakeApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def before(state: object, platform: object, uid: str, kubeconfig: str) -> list[Refusal]:
        asked.append((uid, kubeconfig))
        return [Refusal(cause="the snapshot of ml failed", fix="look at it")]

    monkeypatch.setattr(program, "before_changes", before)
    assert refused(api) == ["the snapshot of ml failed"]
    assert asked == [(UID, kubeconfig(api.url))]
    engine.preview = True
    assert refused(api) == []
    engine.preview, api.objects["/api/v1/nodes"] = False, []
    assert len(refused(api)) == 1, "nothing is done where something is refused"
    assert len(asked) == 1


class Torn:
    """An engine whose state is read while it is written; `words` are those of its failures, one a call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
        self.words, self.paused = words, list[float]()
        monkeypatch.setattr(pulumi.runtime, "invoke", self.invoke)
        monkeypatch.setattr("cli.guards.program.time.sleep", self.paused.append)

    def invoke(self, token: str, arguments: dict[str, str]) -> Any:
        if self.words:
            raise RuntimeError(self.words.pop(0))
        return type("Answer", (), {"value": "whole"})


TORN = "failed to load checkpoint: EOF"


def test_a_state_that_is_being_written_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torn = Torn(monkeypatch, [TORN, TORN])
    assert program._read_whole("dev") == "whole"
    assert torn.paused == list(program.TORN_PAUSES[:2])


def test_a_state_that_stays_torn_is_an_error_and_another_one_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torn = Torn(monkeypatch, [TORN] * 99)
    with pytest.raises(RuntimeError, match=TORN):
        program._read_whole("dev")
    assert torn.paused == list(program.TORN_PAUSES)
    denied = Torn(monkeypatch, ["access denied"] * 99)
    with pytest.raises(RuntimeError, match="access denied"):
        program._read_whole("dev")
    assert denied.paused == []


def test_a_port_of_the_host_that_another_has_is_refused(api: FakeApi, engine: Engine) -> None:
    (port,) = [tenant.node_port for tenant in resolve(platform()).values()]
    spec = {"type": "NodePort", "ports": [{"port": 443, "nodePort": port}]}
    taken = named("Service", "v1", "theirs", metadata={"namespace": "elsewhere"}, spec=spec)
    api.objects["/api/v1/services"] = [taken]
    (cause,) = refused(api)
    assert cause.endswith(f"its NodePort {port} is taken by Service elsewhere/theirs")


def test_a_variable_that_steers_the_provider_is_refused(
    api: FakeApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    assert refused(api) == [
        "PULUMI_K8S_DELETE_UNREACHABLE in the environment forgets the objects of a cluster that does not answer"
    ]
