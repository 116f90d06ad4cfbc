"""A team's app, and how people reach it from outside.

Owns: Secret, Deployment and Service inside the team's cluster; Service, Ingress and NetworkPolicy on the host.
Leaves to others: what these say (`app_spec.py`), the default page (`probe/page.py`).
"""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components.check.host import pod_settings
from components.workloads import app_spec as spec
from components.workloads.pods import host_service_spec, metadata, selector, service_spec
from components.workloads.server import Server, ServerArgs
from settings.workload_parts import FromConfig
from settings.workloads import App

PAGE_CODE = Path(__file__).parents[2] / "probe" / "page.py"


class AppServer(Server[App]):
    """One app."""

    def __init__(self, name: str, args: ServerArgs[App], opts: pulumi.ResourceOptions | None = None) -> None:
        workload, place = args.workload, args.place
        image = workload.image or pod_settings(args.platform).image
        super().__init__(
            name,
            {
                "team": place.team,
                "image": image,
                "replicas": workload.replicas,
                "gpus": (workload.gpu.count or 0) if workload.gpu else 0,
                "fraction": workload.gpu.fraction if workload.gpu else None,
                "gpuMemoryMib": workload.gpu.memory_mib if workload.gpu else None,
                "nodePort": workload.expose.node_port,
                "host": workload.expose.ingress.host if workload.expose.ingress else None,
            },
            opts,
        )
        self._args = args
        code = PAGE_CODE.read_text() if spec.has_own_page(workload) else None
        needs = [*args.depends_on, *self._page(name, code), *self._secret(name)]
        values = list(self._values().values())
        k8s.apps.v1.Deployment(
            f"{name}-app",
            metadata=self._deployment(values),
            spec=spec.deployment_spec(
                args.name, workload, place, image, f"{args.name}-secrets" if workload.secrets else None, code
            ),
            opts=self._opts(needs, values),
        )
        k8s.core.v1.Service(
            f"{name}-service",
            metadata={**metadata(place, args.name), "annotations": {"pulumi.com/skipAwait": "true"}},
            spec=service_spec(args.name, workload.port),
            opts=self._opts(args.depends_on),
        )
        self._way_in(name)
        self.register_outputs({})

    def _page(self, name: str, code: str | None) -> list[pulumi.Resource]:
        if code is None:
            return []
        return [
            k8s.core.v1.ConfigMap(
                f"{name}-page",
                metadata=metadata(self._args.place, f"{self._args.name}-page"),
                data={"page.py": code},
                opts=self._opts(self._args.depends_on),
            )
        ]

    def _secret(self, name: str) -> list[pulumi.Resource]:
        args = self._args
        if not args.workload.secrets:
            return []
        return [
            k8s.core.v1.Secret(
                f"{name}-secrets",
                metadata=metadata(args.place, f"{args.name}-secrets"),
                string_data=self._values(),
                opts=self._opts(args.depends_on),
            )
        ]

    def _values(self) -> dict[str, pulumi.Output[str]]:
        return {
            key: self._args.secrets[
                f"config/{source.config}" if isinstance(source, FromConfig) else f"environment/{source.environment}"
            ]
            for key, source in self._args.workload.secrets.items()
        }

    def _way_in(self, name: str) -> None:
        args, expose = self._args, self._args.workload.expose
        policy = spec.way_in(args.name, args.workload)
        if policy is None:
            return
        on_host = self.child(provider=args.host_provider, depends_on=args.host_depends_on)
        host_name = f"{args.name}-app"
        host_metadata = {
            "name": host_name,
            "namespace": args.host_namespace,
            "labels": {**args.place.labels, **selector(args.name)},
        }
        k8s.networking.v1.NetworkPolicy(f"{name}-way-in", metadata=host_metadata, spec=policy, opts=on_host)
        k8s.core.v1.Service(
            f"{name}-host-service",
            metadata={**host_metadata, "annotations": {"pulumi.com/skipAwait": "true"}},
            spec=host_service_spec(args.place.team, args.name, args.workload.port, expose.node_port),
            opts=on_host,
        )
        if expose.ingress is not None:
            k8s.networking.v1.Ingress(
                f"{name}-ingress",
                metadata={**host_metadata, "annotations": {"pulumi.com/skipAwait": "true"}},
                spec=spec.ingress_spec(expose.ingress, host_name),
                opts=on_host,
            )
