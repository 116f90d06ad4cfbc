"""A pool's nodes.

Owns: the labels and the taint that we put on named nodes; they are removed with the pool.
Leaves to others: the nodes themselves; nodes found by a selector keep the labels that they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

import names
from components.base import Component
from settings.labels import gpu_labels, sharing_labels
from settings.models import Pool


@dataclass(frozen=True, kw_only=True)
class NodePoolArgs:
    """`teams_of_node`: which tenants see a node by its name, where the pool is divided.

    `label_gpus`: whether we write the labels that the device plugin and KAI read (nobody else discovers them).
    `label_sharing`: whether the device plugin that reads how GPUs are shared is ours. One that isn't ends where a node
    asks for an entry that it does not have (DP@v0.20.0:cmd/config-manager/main.go). `default_entry`: what that plugin
    does where no label says it. `moved`: for a node that was in another pool, the patch that labels it until now.
    """

    pool: Pool
    provider: k8s.Provider
    teams_of_node: Mapping[str, Sequence[str]]
    label_gpus: bool
    label_sharing: bool
    moved: Mapping[str, str]
    default_entry: str


class NodePool(Component):
    """A set of nodes with the same GPUs."""

    facts: dict[str, object]
    patches: dict[str, k8s.core.v1.NodePatch]

    def __init__(self, name: str, args: NodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self.facts = facts(name, args.pool)
        super().__init__(name, self.facts, opts)
        self.patches = {node: self._patch(name, node, args) for node in args.pool.nodes}
        self.register_outputs({})

    def patches_of(self, nodes: Iterable[str]) -> list[pulumi.Resource]:
        """The patches that a tenant which sees these nodes depends on: none for nodes found by a selector."""
        return [self.patches[node] for node in nodes if node in self.patches]

    def _patch(self, name: str, node: str, args: NodePoolArgs) -> k8s.core.v1.NodePatch:
        found = node_labels(name, args, args.teams_of_node.get(node, ()))
        taints = [{"key": names.GPU, "value": args.pool.taint_value, "effect": "NoSchedule"}]
        opts = self.child(provider=args.provider)
        if node in args.moved:
            # the same patch under another name: a second one would be refused, because the first still owns the labels
            opts.aliases = [pulumi.Alias(name=args.moved[node])]
        # no patchForce: where somebody else set a label to another value, the stack file and the node contradict each
        # other. taints are one list with one owner. both conflicts must be reported, not overwritten
        return k8s.core.v1.NodePatch(
            names.node_patch(name, node),
            metadata={"name": node, "labels": found},
            spec={"taints": taints} if args.pool.taint else None,
            opts=opts,
        )


def facts(name: str, pool: Pool) -> dict[str, object]:
    """What a policy may read about a pool."""
    return {
        "name": name,
        "nodes": list(pool.nodes),
        "selector": dict(pool.selector) if pool.selector else None,
        "size": pool.size,
        "gpusPerNode": pool.gpus_per_node,
        "replicas": pool.replicas,
        "gpusAllocatable": pool.gpus_allocatable,
        "gpuMemoryMib": pool.gpu_memory_mib,
        "product": pool.product,
        "unit": pool.unit,
    }


def node_labels(name: str, args: NodePoolArgs, teams: Sequence[str]) -> dict[str, str]:
    found = {names.LABEL_POOL: name, **{names.team_node_label(team): "true" for team in teams}}
    found |= gpu_labels(args.pool) if args.label_gpus else {}
    return found | (sharing_labels(name, args.pool, args.default_entry) if args.label_sharing else {})
