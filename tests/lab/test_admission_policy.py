"""A tenant's policy on a real API server: no warning, a change in place, and a refusal of what it can't judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import ValidatingAdmissionPolicy
from lightkube.resources.core_v1 import Namespace, Pod
from lightkube.types import PatchType

from components.team.admission import others, policy_name, policy_spec, rules
from components.team.cel import Rule, without
from components.team.tenant import Tenant
from lab import kwok
from lab.binaries import Binaries
from lab.clusters import HOST, Clusters
from lab.objects import Objects
from tests.lab.admitted import HANGS_SECONDS, Host, install, tenants
from tests.lab.pods import container, pod

pytestmark = pytest.mark.lab

TYPE_CHECKER = "validatingadmissionpolicy-status-controller"


@pytest.fixture(scope="module")
def host(programs: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    clusters = Clusters(tmp_path_factory.mktemp("policy"), lambda: programs)
    try:
        with pytest.MonkeyPatch.context() as patch:
            # nothing else in the lab reads a policy's status
            patch.setattr(kwok, "CONTROLLERS", f"{kwok.CONTROLLERS},{TYPE_CHECKER}")
            clusters.ensure(HOST)
        admin = clusters.client(HOST)
        for tenant in tenants().values():
            admin.create(Namespace(metadata=ObjectMeta(name=tenant.namespace)))
            install(admin, tenant)
        yield Host(clusters=clusters, admin=admin, syncers={})
    finally:
        clusters.stop_all()


def put(host: Host, tenant: Tenant, found: Sequence[Rule]) -> None:
    """Change the rules of a policy that is there, as `up` does."""
    change = [{"op": "replace", "path": "/spec", "value": policy_spec(tenant, found)}]
    host.admin.patch(ValidatingAdmissionPolicy, policy_name(tenant.name), change, patch_type=PatchType.JSON)


def said(host: Host, asked: Pod, expected: str) -> str:
    """Return the refusal that says what is expected, once the server has taken the rules over: some time after."""
    Objects(HOST, host.admin, lambda: host.clusters.mend(HOST)).wait(
        lambda: expected in (host.refusal("free", asked) or ""),
        HANGS_SECONDS,
        lambda: f"never said {expected!r}: {host.refusal('free', asked)}",
    )
    return host.refusal("free", asked) or ""


def warnings(host: Host, name: str) -> list[str]:
    """What the server's type checker finds in the present rules of a tenant."""
    get = partial(host.admin.get, ValidatingAdmissionPolicy, policy_name(name))

    def checked() -> bool:
        found = get()
        return bool(found.status and found.metadata and found.status.observedGeneration == found.metadata.generation)

    Objects(HOST, host.admin, lambda: host.clusters.mend(HOST)).wait(checked, HANGS_SECONDS, lambda: "never checked")
    status = get().status
    assert status is not None
    return [each.warning for each in (status.typeChecking and status.typeChecking.expressionWarnings) or ()]


@pytest.mark.parametrize("name", tenants())
def test_the_type_checker_warns_of_no_rule(host: Host, name: str) -> None:
    assert warnings(host, name) == []


def test_the_type_checker_would_warn(host: Host) -> None:
    tenant = tenants()["batch"]
    # in an expression: of a variable alone it says nothing
    put(host, tenant, [Rule(name="wrong", expression="object.spec.nothing == 1", fix="f")])
    assert any("undefined field 'nothing'" in warning for warning in warnings(host, "batch"))


def test_a_rule_that_can_not_be_evaluated_refuses_until_the_policy_is_changed(host: Host) -> None:
    tenant = tenants()["free"]
    whole = rules(tenant, others(tenants(), "free"), "nvidia")
    put(host, tenant, [*whole, without("[variables.spec.nothing]", name="broken", fix="f")])
    refusal = said(host, pod(), 'composited variable "broken" fails to evaluate')
    assert "no such key: nothing" in refusal
    # the rules before it say what they have to say
    assert said(host, pod(hostPID=True), "rule no-host-namespaces, team free").endswith("; got hostPID")
    put(host, tenant, whole)
    assert said(host, pod(hostPID=True, hostIPC=True), "rule no-host-namespaces").endswith("; got hostPID, hostIPC")
    Objects(HOST, host.admin, lambda: host.clusters.mend(HOST)).wait(
        lambda: host.refusal("free", pod()) is None, HANGS_SECONDS, lambda: "the old rules stay"
    )


@pytest.mark.parametrize(("containers", "named"), [(2, True), (80, True), (81, False), (300, False)])
def test_a_message_that_gets_too_long_leaves_out_what_broke_the_rule(host: Host, containers: int, named: bool) -> None:
    many = [container(name=f"{i:060}", securityContext={"privileged": True}) for i in range(containers)]
    refusal = said(host, pod(containers=many), "gpu-tenancy rule not-privileged, team free: a container must not be ")
    fix = "remove securityContext.privileged"
    assert refusal.endswith(f"{fix}; got {', '.join(each['name'] for each in many)}" if named else fix)
