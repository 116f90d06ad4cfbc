"""Who asks a real API server for pods: an administrator, and the syncer of each tenant."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightkube import ApiError, Client, KubeConfig
from lightkube.config.models import User
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.models.rbac_v1 import PolicyRule, RoleRef, Subject
from lightkube.resources.admissionregistration_v1 import ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding
from lightkube.resources.core_v1 import (
    Pod,
    ServiceAccount,
    ServiceAccountToken,
)
from lightkube.resources.rbac_authorization_v1 import Role, RoleBinding

from components.team.admission import binding_spec, others, policy_name, policy_spec, rules
from components.team.tenant import Tenant, resolve
from lab.clusters import HOST, Clusters
from lab.objects import Objects
from settings.load import parse_platform
from tests.lab.pods import PLATFORM

HANGS_SECONDS = 120.0
"""A new policy is enforced within some seconds; where it is not after this long, it never will be."""


CLASSES = ("nvidia", "nvidia-cdi", "kata", "kata-nvidia-gpu")


@dataclass(frozen=True, kw_only=True)
class Host:
    """The host's API server, with clients that ask as an administrator and as each tenant's syncer."""

    clusters: Clusters
    admin: Client
    syncers: Mapping[str, Client]

    def refusal(self, team: str, asked: Any, *, syncer: bool = False) -> str | None:
        """Ask for an object without making one; return what the server says, or None when it would take it."""
        client = self.syncers[team] if syncer else self.admin
        try:
            client.create(deepcopy(asked), namespace=f"team-{team}", dry_run=True)
        except ApiError as error:
            return str(error.status.message)
        return None

    def wait_for(self, team: str, forbidden: Pod) -> None:
        """Return when the team's policy, that refuses this pod, is enforced: some time after it was created.

        What gave up beside the server is started again meanwhile: without the controller manager no account appears,
        and every pod is refused for the lack of one.
        """
        Objects(HOST, self.admin, lambda: self.clusters.mend(HOST)).wait(
            lambda: "gpu-tenancy rule" in (self.refusal(team, forbidden) or ""),
            HANGS_SECONDS,
            lambda: f"team {team}'s policy is not enforced: {self.refusal(team, forbidden)}",
        )


def tenants() -> dict[str, Tenant]:
    return resolve(parse_platform(PLATFORM, "test"))


def install(admin: Client, tenant: Tenant) -> None:
    found = rules(tenant, others({**tenants(), tenant.name: tenant}, tenant.name), "nvidia")
    metadata = {"name": policy_name(tenant.name)}
    policy = ValidatingAdmissionPolicy.from_dict({"metadata": metadata, "spec": policy_spec(tenant, found)})
    binding = ValidatingAdmissionPolicyBinding.from_dict({"metadata": metadata, "spec": binding_spec(tenant)})
    assert isinstance(policy, ValidatingAdmissionPolicy)
    assert isinstance(binding, ValidatingAdmissionPolicyBinding)
    admin.create(policy)
    admin.create(binding)


def accounts(admin: Client, server: Path, team: str) -> Client:
    """Make the tenant's accounts; return a client with the rights that a vCluster's own account has."""
    namespace, account = f"team-{team}", f"vc-{team}"
    metadata = ObjectMeta(name=account, namespace=namespace)
    admin.create(ServiceAccount(metadata=metadata))
    admin.create(ServiceAccount(metadata=ObjectMeta(name=f"vc-workload-{team}", namespace=namespace)))
    kinds = ["pods", "pods/ephemeralcontainers", "persistentvolumeclaims", "services"]
    admin.create(Role(metadata=metadata, rules=[PolicyRule(apiGroups=[""], resources=kinds, verbs=["*"])]))
    admin.create(
        RoleBinding(
            metadata=metadata,
            roleRef=RoleRef(apiGroup="rbac.authorization.k8s.io", kind="Role", name=account),
            subjects=[Subject(kind="ServiceAccount", name=account, namespace=namespace)],
        )
    )
    answer = admin.create(
        ServiceAccountToken(metadata=ObjectMeta(), spec=TokenRequestSpec(audiences=[])), account, namespace=namespace
    )
    assert answer.status is not None
    known = KubeConfig.from_file(server).get()
    assert known is not None
    return Client(config=KubeConfig.from_one(cluster=known.cluster, user=User(token=answer.status.token)))
