"""A GPU check: proof, after every deploy, that CUDA works through the same queue as the team's own work.

Owns: the objects in the check's namespace (accounts, the two Jobs), writing the code before a pod needs it, and reading
the report.
Leaves to others: what is proven (`probe.py`), what the verdict is where there is no report (`verdict.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
from components.base import DELETED_AT_ONCE, Component, live_hook
from components.check import job
from components.retry import when_it_comes
from lenient import parsed, text
from probe import code

COULD_NOT_TELL: Final = "could-not-tell"
"""The verdict where there is no report, or none that can be read."""


class Programs:
    """The checks' programs in one cluster, written once for each namespace, however many checks run in it.

    They are no resource: the state would hold them three times for each namespace, and the engine writes the state
    after every step. The Jobs' stamp has the code's digest, so new code brings new Jobs. The code is deleted with the
    namespace.
    """

    def __init__(self) -> None:
        self._there: set[str] = set()
        self._writing = Lock()

    def write(self, kubeconfig: str, namespace: str, team: str) -> None:
        """Return once the programs are in the namespace. Hooks call this, each in a thread of its own."""
        with self._writing:
            if namespace not in self._there:
                kube.put(kubeconfig, code_map(namespace, team))
                self._there.add(namespace)


def code_map(namespace: str, team: str) -> dict[str, object]:
    """The ConfigMap with the programs of a namespace's checks."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.CHECK_CODE, "namespace": namespace, "labels": names.labels(team=team)},
        "data": code.data(),
        "binaryData": code.binary_data(),
    }


@dataclass(frozen=True, kw_only=True)
class GpuCheckArgs:
    """`checked` is what else the check proves: a change of it runs the check again. Where several checks share a
    namespace (`own_namespace` false), the caller makes it, and they share `programs`, too. `provider` and `kubeconfig`
    are those of the cluster with the pods. `depends_on`: what everything here depends on besides its provider. `after`:
    what only its pods wait for. `ready`: a call that the pods wait for, too. `before_verdict`: what must have succeeded
    before there is a verdict. `install` names the install of a scheduler that this run makes: what asked a scheduler of
    another install asks again. None where it makes none.
    """

    request: job.Request
    checked: Mapping[str, object]
    provider: k8s.Provider
    kubeconfig: pulumi.Output[str]
    own_namespace: bool
    programs: Programs = field(default_factory=Programs)
    depends_on: Sequence[pulumi.Resource] = ()
    after: Sequence[pulumi.Resource] = ()
    before_verdict: Sequence[pulumi.Resource] = ()
    install: pulumi.Input[str | None] = None
    ready: pulumi.ResourceHook | None = None


class GpuCheck(Component):
    """One check, and its report."""

    report: pulumi.Output[str]
    verdict: pulumi.Output[str]
    finished: k8s.batch.v1.Job

    def __init__(self, name: str, args: GpuCheckArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        request = args.request
        super().__init__(name, facts(request), opts)
        self._args = args
        self._mark = job.stamp(request, args.checked)
        needs = self._surroundings(name)
        asking = self._asking_jobs(name, needs)
        self.finished = self._verdict_job(name, asking)
        self.report = self._read_report()
        self.verdict = self.report.apply(verdict_of)
        self.register_outputs({"verdict": self.verdict})

    def _opts(
        self,
        depends_on: Sequence[pulumi.Resource],
        *,
        first: pulumi.ResourceHook | None = None,
        ready: pulumi.ResourceHook | None = None,
        retry: pulumi.ErrorHook | None = None,
        install: pulumi.Input[str | None] = None,
    ) -> pulumi.ResourceOptions:
        return self.child(
            provider=self._args.provider,
            depends_on=list(depends_on),
            first=first,
            before_create=ready,
            before_update=ready,
            retry=retry,
            replacement_trigger=install,
        )

    def _metadata(self, name: str, namespace: str | None = None) -> dict[str, object]:
        request = self._args.request
        return {
            "name": name,
            "namespace": namespace or request.namespace,
            "labels": names.labels(team=request.team),
        }

    def _surroundings(self, name: str) -> list[pulumi.Resource]:
        """What its pods depend on: only the last object, which depends on the rest. A dependency costs the SDK time."""
        args, request = self._args, self._args.request
        first = list(args.depends_on)
        found: list[pulumi.Resource] = []
        if request.priority_class:
            found.append(
                k8s.scheduling.v1.PriorityClass(
                    f"{name}-priority",
                    metadata={"name": request.priority_class, "labels": names.labels(team=request.team)},
                    value=job.PRIORITY,
                    description="the GPU check: any of the team's own work goes first",
                    opts=self.child(
                        provider=args.provider,
                        depends_on=first,
                        replace_on_changes=["value", "preemptionPolicy"],
                    ),
                )
            )
        needs: list[pulumi.Resource] = [
            k8s.core.v1.Namespace(
                f"{name}-namespace{suffix}",
                metadata={"name": half.namespace, "labels": names.labels(team=request.team)},
                opts=self._opts(first),
            )
            for suffix, half in (self._halves() if args.own_namespace else ())
        ] or first
        for suffix, half in self._halves():
            found += self._account(f"{name}-probe{suffix}", half, job.probe_rules(half), needs)
        return found + self._verdict_account(f"{name}-verdict", needs)

    def _halves(self) -> list[tuple[str, job.Request]]:
        """The requests, each with the suffix of its resources' names."""
        return [(f"-{index}" if index else "", half) for index, half in enumerate(job.asked(self._args.request))]

    def _account(
        self, name: str, half: job.Request, rules: list[job.Spec], depends_on: list[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """An asking pod's account. Its rights are in the namespace of the reports."""
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account", metadata=self._metadata(half.name, half.namespace), opts=self._opts(depends_on)
        )
        role = half.name if half.namespace == half.report_namespace else half.namespace
        return [account, *self._may(name, half, role, half.report_namespace, rules, depends_on)]

    def _verdict_account(self, name: str, depends_on: list[pulumi.Resource]) -> list[pulumi.Resource]:
        request = self._args.request
        half = replace(request, name=f"{request.name}-verdict")
        found = self._account(name, half, job.verdict_rules(request), depends_on)
        if request.pair is not None:
            second = names.CHECK_PAIR_NAMESPACE
            found += self._may(f"{name}-1", half, half.name, second, job.third_rules(request), depends_on)
        return found

    def _may(
        self,
        name: str,
        half: job.Request,
        role: str,
        namespace: str,
        rules: list[job.Spec],
        depends_on: list[pulumi.Resource],
    ) -> list[pulumi.Resource]:
        metadata = self._metadata(role, namespace)
        return [
            k8s.rbac.v1.Role(f"{name}-role", metadata=metadata, rules=rules, opts=self._opts(depends_on)),
            k8s.rbac.v1.RoleBinding(
                f"{name}-binding",
                metadata=metadata,
                role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                subjects=[{"kind": "ServiceAccount", "name": half.name, "namespace": half.namespace}],
                opts=self._opts(depends_on),
            ),
        ]

    def _asking_jobs(self, name: str, depends_on: list[pulumi.Resource]) -> list[k8s.batch.v1.Job]:
        # skipAwait also skips waiting for the delete, so the old Job may still exist
        retry = when_it_comes(f"{name}-asking")
        return [
            k8s.batch.v1.Job(
                f"{name}-job{suffix}",
                metadata={
                    **self._metadata(half.name, half.namespace),
                    "annotations": {
                        # a pod that waits for a GPU is not a failed deploy: the engine waits for the verdict
                        "pulumi.com/skipAwait": "true",
                        # failed, or no GPU was free: the next `up` runs it again
                        "pulumi.com/replaceUnready": "true",
                        **DELETED_AT_ONCE,
                    },
                },
                spec=job.asking_job(half, self._mark),
                opts=self._opts(
                    [*depends_on, *self._args.after],
                    first=self._prepared(f"{name}-prepared{suffix}", half),
                    ready=self._args.ready,
                    retry=retry,
                    install=self._args.install,
                ),
            )
            for suffix, half in self._halves()
        ]

    def _prepared(self, name: str, half: job.Request) -> pulumi.ResourceHook:
        """Before the Job is made: write its pod's code, and wait until the cluster would take the pod."""
        args = self._args

        def call(kubeconfig: str) -> None:
            args.programs.write(kubeconfig, half.namespace, half.team)
            if half.scheduler_name is not None:  # Kubernetes' own scheduler has no webhook
                kube.wait_until_admitted(kubeconfig, job.asking_pod(half, self._mark))

        return live_hook(name, args.kubeconfig, call)

    def _verdict_job(self, name: str, asking: list[k8s.batch.v1.Job]) -> k8s.batch.v1.Job:
        metadata = self._metadata(f"{self._args.request.name}-verdict")
        metadata["annotations"] = {"pulumi.com/replaceUnready": "true", **DELETED_AT_ONCE}
        # a new asking Job brings a new verdict; this makes the verdict depend on the asking Jobs, and so on its own
        # account
        runs: pulumi.Output[str] = pulumi.Output.all(*(each.metadata for each in asking)).apply(self._uids)
        return k8s.batch.v1.Job(
            f"{name}-verdict",
            metadata=metadata,
            spec=job.verdict_job(self._args.request, self._mark, runs),
            opts=self._opts([]),
        )

    async def _uids(self, asking: list[Mapping[str, object]]) -> str:
        for needed in self._args.before_verdict:
            await needed.urn.future()  # raises where it failed. a dependency would be one more in each state
        return " ".join(str(each.get("uid")) for each in asking)

    def _read_report(self) -> pulumi.Output[str]:
        """The report, once its Job has ended. It is no resource, as the certificates (`virtual_cluster.py`).

        The Job has said whether the update fails. A report that is gone since is told, and no failure: a team can
        delete its own.
        """
        request = self._args.request

        async def read(known: list[str]) -> str:
            try:
                return await asyncio.to_thread(kube.read_report, known[1], request.namespace, request.report)
            except (TimeoutError, PermissionError, LookupError) as error:
                return json.dumps({"verdict": COULD_NOT_TELL, "sentence": str(error)})

        ended: pulumi.Output[list[str]] = pulumi.Output.all(self.finished.id, self._args.kubeconfig)
        # the kubeconfig is a secret, and a report is none
        return pulumi.Output.unsecret(ended.apply(read))


def verdict_of(report: str) -> str:
    """The verdict in a report. A team may write anything there, and an exception would end the update of all teams."""
    return text(parsed(report), "verdict") or COULD_NOT_TELL


def facts(request: job.Request) -> dict[str, object]:
    """What a policy may read about a check."""
    return {
        "team": request.team,
        "node": request.node,
        "queue": request.queue,
        "gpus": request.gpus,
        # for a pair: what both take together
        "fraction": round(sum(request.pair), 6) if request.pair else request.fraction,
        "gpuMemoryMib": request.gpu_memory_mib,
        "image": request.pod.image,
        "onFailure": request.pod.on_failure,
    }
