"""One KAI, in a virtual cluster or on the host.

Owns: its namespaces, the CRD that some releases wait for, the Helm release, from when on it works, the cleanup between
two lines, and that everything of KAI is deleted with its namespace.
Leaves to others: queues, and anything that KAI's operator makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
import releases
from components.base import Component, live_hook
from components.failures import why_failed
from components.helm import installed
from components.owned_kinds import own_kinds
from settings.artifacts import chart_for
from settings.models import Artifacts

SETTLING_SECONDS = 20.0
"""How long to wait after an upgrade that remakes KAI's accounts: Helm ends before the operator does."""
CLUSTER_POLICY_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True, kw_only=True)
class KaiSchedulerArgs:
    """`provider` and `kubeconfig` are those of the cluster that KAI runs in; `team` is None on the host. `cdi`: whether
    it names a fraction's GPU by its CDI name (`releases.injection`); None leaves that to the release.

    `restricted`: its pods must fit that Pod Security level. `scale_adjuster`: for a node autoscaler of the host.
    `topologies`: levels by name, each a label of nodes, the widest first."""

    team: str | None
    release: releases.KaiRelease
    gpu_sharing: bool
    enforce: bool
    runtime_class: str
    fake_gpus: bool
    cdi: bool | None
    artifacts: Artifacts
    provider: k8s.Provider
    kubeconfig: pulumi.Output[str]
    topologies: Mapping[str, Sequence[str]]
    restricted: bool = False
    scale_adjuster: bool = False


class _Install:
    """What this run's install of a KAI has said so far. Threads of the hook before it say it."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.works = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def begins(self) -> None:
        self.name = uuid4().hex

    def is_at_work(self) -> None:
        self._loop.call_soon_threadsafe(self.works.set)


class KaiScheduler(Component):
    """A KAI scheduler of one version.

    `works` resolves as soon as KAI works. In an install that may be seconds before the Release is there (ADR 11), and
    then the Release may still fail. What depends on `works` depends on the Release, but for that one run. `install`
    names the install that this run makes; None where it makes none. `needs`: what its Release waits for.
    """

    release: k8s.helm.v3.Release
    needs: tuple[pulumi.Resource, ...]
    works: pulumi.Output[object]
    install: pulumi.Output[str | None]

    def __init__(self, name: str, args: KaiSchedulerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            name,
            {
                "team": args.team,
                "version": args.release.version,
                "line": args.release.line,
                "gpuSharing": args.gpu_sharing,
                "namespace": names.KAI_NAMESPACE,
            },
            opts,
        )
        needs: list[pulumi.Resource] = [
            self._namespace(name, args, names.KAI_NAMESPACE),
            # the chart makes this namespace only where it is missing, and keeps it on removal; ours is deleted
            self._namespace(name, args, names.KAI_RESERVATION_NAMESPACE),
        ]
        if args.scale_adjuster:
            # likewise
            needs.append(self._namespace(name, args, names.KAI_SCALE_NAMESPACE))
        if args.release.needs_cluster_policy_crd and args.team is not None:
            needs.append(self._cluster_policy_crd(name, args))
        self.needs = tuple(needs)
        self._install = _Install()
        self.release = self._release(name, args, needs)
        found: Awaitable[bool] = self._works_early()
        early: pulumi.Output[bool] = pulumi.Output.from_input(found)
        self.works = early.apply(lambda so: None if so else self.release.status)
        # in a preview unknown where there is a Release to make: what `up` replaces by it is shown as replaced
        self.install = (self.release.id if pulumi.runtime.is_dry_run() else early).apply(lambda _: self._install.name)
        # if the CRDs stayed, so would the Config that owns KAI's webhooks, and these refuse every pod once nothing
        # answers behind them. the garbage collector asks no webhook, so a dead KAI blocks nothing
        own_kinds(
            self,
            name,
            namespace=names.KAI_NAMESPACE,
            crds=[kind.crd for kind in args.release.kinds],
            release=self.release,
            provider=args.provider,
            kubeconfig=args.kubeconfig,
            team=args.team,
        )
        self._topologies(name, args)
        self.register_outputs({})

    def _namespace(self, name: str, args: KaiSchedulerArgs, namespace: str) -> k8s.core.v1.Namespace:
        return k8s.core.v1.Namespace(
            f"{name}-{namespace}",
            metadata={"name": namespace, "labels": names.labels(team=args.team)},
            opts=self.child(provider=args.provider),
        )

    def _cluster_policy_crd(self, name: str, args: KaiSchedulerArgs) -> k8s.apiextensions.v1.CustomResourceDefinition:
        # the operator of these releases watches ClusterPolicy, a kind that only the GPU Operator brings; without it the
        # operator restarts for ever, although helm has succeeded
        return k8s.apiextensions.v1.CustomResourceDefinition(
            f"{name}-cluster-policy",
            metadata={"name": releases.CLUSTER_POLICY_CRD, "labels": names.labels(team=args.team)},
            spec={
                "group": "nvidia.com",
                "scope": "Cluster",
                "names": {
                    "kind": "ClusterPolicy",
                    "listKind": "ClusterPolicyList",
                    "plural": "clusterpolicies",
                    "singular": "clusterpolicy",
                },
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": CLUSTER_POLICY_SCHEMA},
                    }
                ],
            },
            opts=self.child(provider=args.provider),
        )

    async def _works_early(self) -> bool:
        """Whether KAI works before its Release has ended, well or not. Returns when the first of both is so."""
        ended = asyncio.ensure_future(why_failed(self.release))
        works = asyncio.ensure_future(self._install.works.wait())
        await asyncio.wait({ended, works}, return_when=asyncio.FIRST_COMPLETED)
        works.cancel()
        return not ended.done()

    def _release(self, name: str, args: KaiSchedulerArgs, needs: list[pulumi.Resource]) -> k8s.helm.v3.Release:
        sweep = live_hook(f"{name}-sweep", args.kubeconfig, lambda text: clear_the_way(text, self._install))
        settle = SETTLING_SECONDS if args.release.upgrade_remakes_operands else 0
        renew = live_hook(
            f"{name}-renew", args.kubeconfig, lambda text: kube.renew_pods(text, names.KAI_NAMESPACE, settle=settle)
        )
        clear = live_hook(f"{name}-clear", args.kubeconfig, lambda text: kube.delete_leftovers(text, hook_objects()))
        return installed(
            f"{name}-release",
            chart_for("kai-scheduler", args.release.version, args.artifacts),
            name=names.KAI_RELEASE,
            namespace=names.KAI_NAMESPACE,
            values=releases.kai_values(
                args.release,
                gpu_sharing=args.gpu_sharing,
                enforce=args.enforce,
                runtime_class=args.runtime_class,
                fake_gpus=args.fake_gpus,
                cdi=args.cdi,
                restricted=args.restricted,
                image_registry=args.artifacts.image_registry,
                pull_policy=args.artifacts.image_pull_policy,
                # a virtual cluster belongs to one tenant. on the host, pods of teams with their own KAI name the same
                # scheduler, and may name a queue of the same name
                namespace_labels={names.LABEL_SCHEDULER: names.SCHEDULED_BY_HOST} if args.team is None else {},
                scale_adjuster=args.scale_adjuster,
                topology_migration=args.team is None,
            ),
            opts=self.child(
                provider=args.provider,
                depends_on=needs,
                # one line can't be upgraded to another: the old release is deleted first, then what its hooks made,
                # then the new one is installed. queues and workloads do not belong to the release, so they stay
                replacement_trigger=args.release.line,
                # it serves an install: no KAI that runs is upgraded for it. the whole table: an empty one is a change,
                # too. its other value says when to pull an image that the hook before it has pulled
                ignore_changes=[f"values.{releases.TOPOLOGY_MIGRATION.partition('.')[0]}"],
                before_create=sweep,
                # an upgrade runs the same hooks as an install; the object that makes the operands stays
                before_update=clear,
                # otherwise its pods may stay Ready with the token of a deleted account, and get 401 until they are made
                # anew
                after_update=renew,
            ),
        )

    def _topologies(self, name: str, args: KaiSchedulerArgs) -> None:
        for topology, levels in args.topologies.items():
            k8s.apiextensions.CustomResource(
                f"{name}-topology-{topology}",
                api_version=names.TOPOLOGY_API_VERSION,
                kind="Topology",
                metadata={"name": topology, "labels": names.labels(team=args.team, pool=topology)},
                spec={"levels": [{"nodeLabel": label} for label in levels]},
                # its levels can't change (the CRD's own rule)
                opts=self.child(provider=args.provider, depends_on=[self.release], replace_on_changes=["spec"]),
            )


def clear_the_way(kubeconfig: str, install: _Install) -> None:
    """Delete what an earlier KAI left, and then have the coming one's Config applied while Helm installs it.

    An upgrade must not do this: its old operator would work by the new Config.
    """
    install.begins()
    kube.delete_leftovers(kubeconfig, leftovers())
    kube.apply_beside_helm(kubeconfig, names.KAI_NAMESPACE, names.KAI_RELEASE, install.is_at_work)


def leftovers() -> list[releases.Leftover]:
    """What an install that was killed, and the hooks of any known release, leave behind. The old line is gone by then,
    so nothing says which it was.

    The operator goes first, and its pod: one that still works makes its services' accounts anew when their Config goes,
    while their pods stay, with the tokens of accounts that are gone. Of the next Config it would make accounts that
    Helm doesn't find when it begins, and takes for somebody's when it gets to them.
    """
    known = [left for release in releases.KAI.values() for left in release.leftovers]
    return list(dict.fromkeys([releases.KAI_OPERATOR, *hook_objects(), *known]))


def hook_objects() -> list[releases.Leftover]:
    """What a failed hook of any known release leaves, and what would make the next run fail."""
    return list(dict.fromkeys(left for release in releases.KAI.values() for left in release.hook_objects))
