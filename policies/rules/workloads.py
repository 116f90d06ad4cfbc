"""Our workloads reach nothing of the host, ask only for what a quota counts, and name no device."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import podspec
import tokens
from names import CHECK_NAME, GPU, GPU_RESOURCES, team_priority_class
from policies.facts import team_name_in, team_of
from policies.inventory import PolicyResource
from policies.plain import flag, get, mapping, mappings, maybe_number, maybe_text, text, texts
from policies.pods import asked_resources, containers, pod_spec, pod_template
from policies.rule import Group, Scene, describe, rule

HOST_LEVEL: Final = "baseline"
"""For workloads of ours that belong to no team."""
_DEVICE_ANNOTATION: Final = re.compile(podspec.RUNTIME_ANNOTATIONS)
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop")

_rule = partial(rule, group=Group.ISOLATION)


@_rule("plain-workload", "Our workloads are not privileged and reach nothing of the host.", *tokens.WORKLOADS)
def plain_workload(workload: PolicyResource, scene: Scene) -> Iterator[str]:
    """It reaches no more of its node than its team's declared level allows."""
    level = level_of(workload, scene)
    if level == "privileged":
        return
    who, spec = describe(workload), pod_spec(workload)
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if flag(spec, key):
            yield f"{who}: {key} is on, isolation is {level!r}; turn it off"
    yield from (f"{who}: {said}, isolation is {level!r}; use another volume" for said in _volumes(spec))
    for said in _security(mapping(spec, "securityContext"), podspec.POD_SECURITY_FIELDS):
        yield f"{who}: {said}, isolation is {level!r}; leave it out"
    for key, profile in mapping(pod_template(workload), "metadata", "annotations").items():
        older = key.startswith(podspec.APPARMOR_ANNOTATION)
        if older and not re.fullmatch(podspec.APPARMOR_PROFILES, str(profile)):
            yield f"{who}: annotation {key} is {profile}, isolation is {level!r}; leave it out"
    for sysctl in mappings(spec, "securityContext", "sysctls"):
        if text(sysctl, "name") not in podspec.SYSCTLS:
            yield f"{who}: sysctl {text(sysctl, 'name')} is the node's, isolation is {level!r}; leave it out"
    allowed = podspec.RESTRICTED_CAPABILITIES if level == "restricted" else podspec.BASELINE_CAPABILITIES
    for container in containers(workload):
        yield from (f"{who}: container {maybe_text(container, 'name')} {said}" for said in _container(container, level))
        added = sorted(set(texts(container, "securityContext", "capabilities", "add")) - set(allowed))
        if added:
            name = maybe_text(container, "name")
            yield f"{who}: container {name} adds capabilities {', '.join(added)}; drop them"


def level_of(workload: PolicyResource, scene: Scene) -> str:
    """Return the Pod Security level that holds for a workload."""
    if team_name_in(workload) is None:
        return HOST_LEVEL
    return text(team_of(workload, scene.inventory).properties, "isolation")


def _volumes(spec: Mapping[str, object]) -> Iterator[str]:
    for volume in mappings(spec, "volumes"):
        if get(volume, "hostPath") is not None:
            yield f"mounts host path {maybe_text(volume, 'hostPath', 'path')!r}"
            continue
        odd = sorted(set(volume) - {"name", *podspec.VOLUMES})
        if odd:
            yield f"volume {maybe_text(volume, 'name')} is of kind {', '.join(odd)}"
        if (maybe_text(volume, "emptyDir", "medium") or "Memory") != "Memory":
            yield f"volume {maybe_text(volume, 'name')} takes the node's huge pages"
        claim = mapping(volume, "ephemeral", "volumeClaimTemplate", "spec")
        if get(claim, "volumeName") is not None or get(claim, "selector") is not None:
            yield f"volume {maybe_text(volume, 'name')} takes a volume that is there already"
        for source in mappings(volume, "projected", "sources"):
            if other := sorted(set(source) - set(podspec.PROJECTIONS)):
                yield f"volume {maybe_text(volume, 'name')} projects {', '.join(other)}"


def _security(context: Mapping[str, object], known: Iterable[str]) -> Iterator[str]:
    odd = sorted(set(context) - set(known))
    if odd:
        yield f"securityContext sets {', '.join(odd)}"
    for profile in ("seccompProfile", "appArmorProfile"):
        kind = maybe_text(context, profile, "type")
        if kind is not None and kind not in podspec.PROFILES:
            yield f"{profile} is {kind}"
    options = mapping(context, "seLinuxOptions")
    if (maybe_text(options, "type") or "") not in podspec.SELINUX_TYPES or any(
        maybe_text(options, key) for key in ("user", "role")
    ):
        yield "seLinuxOptions are none of a container's"
    if (maybe_text(context, "procMount") or "Default") != "Default":
        yield "procMount is not Default"


def _container(container: Mapping[str, object], level: str) -> Iterator[str]:
    context = mapping(container, "securityContext")
    if flag(context, "privileged"):
        yield f"is privileged, isolation is {level!r}; turn it off"
    for said in _security(context, podspec.CONTAINER_SECURITY_FIELDS):
        yield f"{said}, isolation is {level!r}; leave it out"
    if any(maybe_number(port, "hostPort") for port in mappings(container, "ports")):
        yield f"takes a port of its node, isolation is {level!r}; remove hostPort"
    for probe in _PROBES:
        for way in ("httpGet", "tcpSocket"):
            if maybe_text(container, *probe.split("."), way, "host"):
                yield f"has its node call another host in {probe}, isolation is {level!r}; remove host"


@_rule("counted-resources", "Our workloads ask for nothing that no ResourceQuota counts.", *tokens.WORKLOADS)
def counted_resources(workload: PolicyResource, _: Scene) -> Iterator[str]:
    who, spec = describe(workload), pod_spec(workload)
    known = (*podspec.RESOURCES, *GPU_RESOURCES)
    of_containers = [(f"container {maybe_text(found, 'name')}", found, known) for found in containers(workload)]
    for what, place, allowed in [("the pod", spec, podspec.RESOURCES), *of_containers]:
        odd = [name for name in asked_resources(place) if name not in allowed]
        if odd:
            yield f"{who}: {what} asks for {', '.join(odd)}, which no ResourceQuota of ours counts; ask for {GPU}"
        if mappings(place, "resources", "claims"):
            yield f"{who}: {what} asks for a device by claim, which no ResourceQuota counts; ask for {GPU}"
    if mappings(spec, "resourceClaims"):
        yield f"{who}: resourceClaims asks for devices that no ResourceQuota counts; ask for {GPU}"


@_rule("no-devices-by-name", "Our workloads get devices from the kubelet and KAI, and name none.", *tokens.WORKLOADS)
def no_devices_by_name(workload: PolicyResource, _: Scene) -> Iterator[str]:
    who = describe(workload)
    for key in mapping(pod_template(workload), "metadata", "annotations"):
        if _DEVICE_ANNOTATION.search(key):
            yield f"{who}: annotation {key} names a device or a setting of the node's runtime; remove it"
    for container in containers(workload):
        name = maybe_text(container, "name")
        for variable in mappings(container, "env"):
            key = text(variable, "name")
            # a variable's value may be anything; for other names it does not matter
            if key in podspec.DEVICE_VARIABLES and (
                get(variable, "valueFrom") is not None
                or (maybe_text(variable, "value") or "") not in podspec.NO_DEVICES
            ):
                yield f"{who}: container {name} sets {key}, which names devices; remove it and ask for {GPU}"
        for mount in mappings(container, "volumeMounts"):
            if podspec.DEVICE_MOUNTS in text(mount, "mountPath"):
                yield f"{who}: container {name} mounts {text(mount, 'mountPath')}, which names a device; remove it"


@_rule("known-priority", "Our workloads go before nobody else's.", *tokens.WORKLOADS)
def known_priority(workload: PolicyResource, _: Scene) -> Iterator[str]:
    team = team_name_in(workload)
    known = [CHECK_NAME, *tokens.KAI_PRIORITY_CLASSES, *([team_priority_class(team)] if team else [])]
    chosen = maybe_text(pod_spec(workload), "priorityClassName")
    if chosen and chosen not in known:
        yield f"{describe(workload)}: priorityClassName is {chosen}; use one of {', '.join(known)}, or none"


RULES: Final = (plain_workload, counted_resources, no_devices_by_name, known_priority)
