"""An inference server, and the proof that it answers with text.

Owns: the token's Secret, the cache volume, Deployment, Service, and the completion test's Job.
Leaves to others: what these say (`inference_spec.py`), the test itself (`probe/completion.py`).
"""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components.base import DELETED_AT_ONCE
from components.check.host import pod_settings
from components.workloads import inference_spec as spec
from components.workloads.pods import Spec, metadata, service_spec
from components.workloads.server import Server, ServerArgs
from names import CACHE
from settings.workloads import Inference

TEST_CODE = Path(__file__).parents[2] / "probe" / "completion.py"


class InferenceServer(Server[Inference]):
    """One server."""

    def __init__(self, name: str, args: ServerArgs[Inference], opts: pulumi.ResourceOptions | None = None) -> None:
        workload, place = args.workload, args.place
        gpu = workload.gpu
        super().__init__(
            name,
            {
                "team": place.team,
                "model": workload.model,
                "gpus": gpu.count or 0,
                "fraction": gpu.fraction,
                "gpuMemoryMib": gpu.memory_mib,
                "image": spec.image_of(workload),
            },
            opts,
        )
        self._args = args
        needs = [*args.depends_on, *self._token(name), *self._cache(name)]
        declared = spec.deployment_spec(
            args.name, workload, place, spec.image_of(workload), f"{args.name}-token" if workload.token else None
        )
        deployment = k8s.apps.v1.Deployment(
            f"{name}-server",
            # a server that loads for ten minutes is judged by its test
            metadata=self._deployment(self._tokens()),
            spec=declared,
            opts=self._opts(needs, self._tokens()),
        )
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata={**metadata(place, args.name), "annotations": {"pulumi.com/skipAwait": "true"}},
            spec=service_spec(args.name, spec.PORT),
            opts=self._opts(args.depends_on),
        )
        if not args.paused:
            self._test(name, declared, [deployment, service])
        self.register_outputs({"url": f"http://{args.name}.workloads.svc"})

    def _token(self, name: str) -> list[pulumi.Resource]:
        args = self._args
        return [
            k8s.core.v1.Secret(
                f"{name}-token",
                metadata=metadata(args.place, f"{args.name}-token"),
                string_data={"token": token},
                opts=self._opts(args.depends_on),
            )
            for token in self._tokens()
        ]

    def _tokens(self) -> list[pulumi.Output[str]]:
        token = self._args.workload.token
        return [] if token is None else [self._args.secrets[f"config/{token}"]]

    def _cache(self, name: str) -> list[pulumi.Resource]:
        args = self._args
        declared = spec.cache_spec(args.workload)
        if declared is None:
            return []
        return [
            k8s.core.v1.PersistentVolumeClaim(
                f"{name}{CACHE}",
                metadata={
                    **metadata(args.place, f"{args.name}{CACHE}"),
                    # with a class that binds at first use the claim waits for the pod, and the pod waits for the claim
                    # to exist
                    "annotations": {"pulumi.com/skipAwait": "true"},
                },
                spec=declared,
                opts=self._opts(args.depends_on),
            )
        ]

    def _test(self, name: str, declared: Spec, depends_on: list[pulumi.Resource]) -> None:
        args, code = self._args, TEST_CODE.read_text()
        config = k8s.core.v1.ConfigMap(
            f"{name}-test-code",
            metadata=metadata(args.place, f"{args.name}-test"),
            data={"completion.py": code},
            opts=self._opts(args.depends_on),
        )
        image = pod_settings(args.platform).image
        test = spec.test_job_spec(args.name, args.workload, args.place, image, code, declared)
        k8s.batch.v1.Job(
            f"{name}-test",
            metadata={
                **metadata(args.place, f"{args.name}-test"),
                # the next `up` repeats a failed test
                "annotations": {"pulumi.com/replaceUnready": "true", **DELETED_AT_ONCE},
            },
            spec=test,
            opts=pulumi.ResourceOptions.merge(
                self._opts([*depends_on, config]),
                pulumi.ResourceOptions(
                    custom_timeouts=pulumi.CustomTimeouts(create=f"{test['activeDeadlineSeconds']}s")
                ),
            ),
        )
