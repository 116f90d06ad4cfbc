"""A GPU check: proof, after every deploy, that CUDA works by the way that the team's own work takes.

Owns: the objects in the check's namespace (accounts, code, the two Jobs) and the reading of the report.
Leaves to others: what is proven (`probe.py`), what the verdict is where there is no report (`verdict.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import names
from components.base import Component
from components.check import job


@dataclass(frozen=True, kw_only=True)
class GpuCheckArgs:
    """`checked` is what else the check proves: a change of it runs the check again. `namespace` is made by the
    caller where it is shared."""

    request: job.Request
    checked: Mapping[str, object]
    provider: k8s.Provider
    depends_on: list[pulumi.Resource]
    own_namespace: bool
    own_priority: bool
    vcluster: k8s.helm.v3.Release | None = None


class GpuCheck(Component):
    """One check, and its report."""

    report: pulumi.Output[str]
    verdict: pulumi.Output[str]
    finished: k8s.batch.v1.Job

    def __init__(self, name: str, args: GpuCheckArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        request = args.request
        super().__init__(
            name,
            {
                "team": request.team,
                "node": request.node,
                "queue": request.queue,
                "gpus": request.gpus,
                "fraction": request.fraction,
                "gpuMemoryMib": request.gpu_memory_mib,
                "image": request.pod.image,
                "onFailure": request.pod.on_failure,
            },
            opts,
        )
        self._args = args
        self._mark = job.stamp(request, args.checked)
        needs = self._surroundings(name)
        asking = self._asking_job(name, needs)
        self.finished = self._verdict_job(name, [*needs, asking])
        self.report = self._read_report(name)
        self.verdict = self.report.apply(lambda text: str(json.loads(text).get("verdict", "could-not-tell")))
        self.register_outputs({"verdict": self.verdict})

    def _opts(self, depends_on: list[pulumi.Resource]) -> pulumi.ResourceOptions:
        return self.child(provider=self._args.provider, depends_on=depends_on, deleted_with=self._args.vcluster)

    def _metadata(self, name: str) -> dict[str, object]:
        request = self._args.request
        return {"name": name, "namespace": request.namespace, "labels": names.labels(team=request.team)}

    def _surroundings(self, name: str) -> list[pulumi.Resource]:
        args, request = self._args, self._args.request
        first = list(args.depends_on)
        if args.own_namespace:
            first.append(
                k8s.core.v1.Namespace(
                    f"{name}-namespace",
                    metadata={"name": request.namespace, "labels": names.labels(team=request.team)},
                    opts=self._opts(args.depends_on),
                )
            )
        if args.own_priority and request.priority_class:
            first.append(
                k8s.scheduling.v1.PriorityClass(
                    f"{name}-priority",
                    metadata={"name": request.priority_class, "labels": names.labels(team=request.team)},
                    value=job.PRIORITY,
                    description="the GPU check: any of the team's own work goes first",
                    opts=self.child(
                        provider=args.provider,
                        depends_on=args.depends_on,
                        deleted_with=args.vcluster,
                        replace_on_changes=["value", "preemptionPolicy"],
                    ),
                )
            )
        code = k8s.core.v1.ConfigMap(
            f"{name}-code", metadata=self._metadata(f"{request.name}-code"), data=job.files(), opts=self._opts(first)
        )
        accounts = [
            *self._account(f"{name}-probe", request.name, job.probe_rules(request), first),
            *self._account(f"{name}-verdict", f"{request.name}-verdict", job.verdict_rules(request), first),
        ]
        return [*first, code, *accounts]

    def _account(
        self, name: str, account: str, rules: list[job.Spec], depends_on: list[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        namespace = self._args.request.namespace
        return [
            k8s.core.v1.ServiceAccount(
                f"{name}-account", metadata=self._metadata(account), opts=self._opts(depends_on)
            ),
            k8s.rbac.v1.Role(
                f"{name}-role", metadata=self._metadata(account), rules=rules, opts=self._opts(depends_on)
            ),
            k8s.rbac.v1.RoleBinding(
                f"{name}-binding",
                metadata=self._metadata(account),
                role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
                subjects=[{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
                opts=self._opts(depends_on),
            ),
        ]

    def _asking_job(self, name: str, depends_on: list[pulumi.Resource]) -> k8s.batch.v1.Job:
        metadata = self._metadata(self._args.request.name)
        # a pod that waits for a GPU is not a failed deploy: the verdict's Job is what the engine waits for
        metadata["annotations"] = {"pulumi.com/skipAwait": "true"}
        return k8s.batch.v1.Job(
            f"{name}-job",
            metadata=metadata,
            spec=job.asking_job(self._args.request, self._mark),
            opts=self._opts(depends_on),
        )

    def _verdict_job(self, name: str, depends_on: list[pulumi.Resource]) -> k8s.batch.v1.Job:
        metadata = self._metadata(f"{self._args.request.name}-verdict")
        # a failed verdict is asked again by the next `up`, without anybody's hand
        metadata["annotations"] = {"pulumi.com/replaceUnready": "true"}
        return k8s.batch.v1.Job(
            f"{name}-verdict",
            metadata=metadata,
            spec=job.verdict_job(self._args.request, self._mark),
            opts=self._opts(depends_on),
        )

    def _read_report(self, name: str) -> pulumi.Output[str]:
        request = self._args.request
        found = k8s.core.v1.ConfigMap.get(
            f"{name}-report",
            id=self.finished.id.apply(lambda _: f"{request.namespace}/{request.report}"),
            opts=self._opts([self.finished]),
        )
        report: pulumi.Output[str] = found.data.apply(lambda data: str((data or {}).get("report.json", "{}")))
        return report
