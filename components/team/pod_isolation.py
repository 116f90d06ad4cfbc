"""What a pod of a tenant may reach of its node, and which fields it may use at all. Pure: conditions in CEL.

Allow-lists: a field, a volume or a setting that no rule knows is refused, because a tenant is admin inside its virtual
cluster and Kubernetes gets new fields with every release. Each list holds what ordinary pods use
(`tests/lab/test_admission.py` has them: notebooks, training, model servers, CoreDNS, KAI's own, vCluster's own).
"""

from __future__ import annotations

from functools import cache

import podspec
from components.team.cel import Rule, containers, listed, only, pod_and_containers, text, without
from components.team.object_rules import new_volume
from settings.models import Isolation


@cache
def isolation(level: Isolation) -> tuple[Rule, ...]:
    """What a pod may reach of its node. Level `privileged` may reach everything."""
    if level is Isolation.PRIVILEGED:
        return ()
    ports = "c.?ports.orValue([]).exists(p, p.?hostPort.orValue(0) != 0)"
    hosts = (
        "[c.?livenessProbe, c.?readinessProbe, c.?startupProbe, c.?lifecycle.?postStart, c.?lifecycle.?preStop]"
        ".exists(h, [h.?httpGet, h.?tcpSocket].exists(a, a.?host.orValue('') != ''))"
    )
    allowed = podspec.RESTRICTED_CAPABILITIES if level is Isolation.RESTRICTED else podspec.BASELINE_CAPABILITIES
    return (
        without(
            containers("c.?securityContext.?privileged.orValue(false)"),
            name="not-privileged",
            fix="a container must not be privileged; remove securityContext.privileged",
        ),
        without(
            "variables.spec.?volumes.orValue([]).filter(v, has(v.hostPath)).map(v, v.name)",
            name="no-host-path",
            fix="a pod must not mount a path of the node; use an emptyDir or a PersistentVolumeClaim",
        ),
        without(
            f"{listed(('hostNetwork', 'hostPID', 'hostIPC'))}.filter(k, variables.spec[?k].orValue(false))",
            name="no-host-namespaces",
            fix="a pod must not use the node's network, processes or IPC; remove hostNetwork, hostPID and hostIPC",
        ),
        without(
            containers(f"!c.?securityContext.?capabilities.?add.orValue([]).all(a, a in {listed(allowed)})"),
            name="no-added-capabilities",
            fix=f"a container may add only the capabilities {', '.join(allowed)}; remove the others",
        ),
        _known_volumes(),
        _known_security(),
        without(
            containers(f"{ports} || {hosts}"),
            name="no-host-ports",
            fix="a container must not take a port of its node, nor have the node's kubelet call another host; remove "
            "hostPort, and host from probes and lifecycle hooks",
        ),
    )


def _known_volumes() -> Rule:
    known = " && ".join(
        (
            only("v", ("name", *podspec.VOLUMES)),
            "v.?emptyDir.?medium.orValue('') in ['', 'Memory']",
            f"v.?projected.?sources.orValue([]).all(s, {only('s', podspec.PROJECTIONS)})",
            # Kubernetes makes that claim, so the rules about the tenant's claims do not judge it
            f"(!has(v.ephemeral) || {new_volume('v.ephemeral.volumeClaimTemplate')})",
        )
    )
    return without(
        f"variables.spec.?volumes.orValue([]).filter(v, !({known})).map(v, v.name)",
        name="known-volumes",
        fix=f"a pod mounts only volumes of the kinds {', '.join(podspec.VOLUMES)}; a network volume comes by a "
        "PersistentVolumeClaim",
    )


def _known_security() -> Rule:
    fits = " && ".join(
        (
            f"(has(c.name) ? {only('s.orValue({})', podspec.CONTAINER_SECURITY_FIELDS)} : "
            f"{only('s.orValue({})', podspec.POD_SECURITY_FIELDS)})",
            "[s.?seccompProfile, s.?appArmorProfile]"
            f".all(p, p.?type.orValue('RuntimeDefault') in {listed(podspec.PROFILES)})",
            f"s.?seLinuxOptions.?type.orValue('') in {listed(podspec.SELINUX_TYPES)}",
            "s.?seLinuxOptions.?user.orValue('') == ''",
            "s.?seLinuxOptions.?role.orValue('') == ''",
            # sysctls are a pod's, procMount is a container's
            f"s.?sysctls.orValue([]).all(y, y.name in {listed(podspec.SYSCTLS)})",
            "s.?procMount.orValue('Default') == 'Default'",
        )
    )
    older = (
        f"variables.annotations.filter(k, k.startsWith({text(podspec.APPARMOR_ANNOTATION)}) && "
        f"!variables.annotations[k].matches({text(f'^({podspec.APPARMOR_PROFILES})$')}))"
    )
    return without(
        f"{pod_and_containers(f'![c.?securityContext].all(s, {fits})')} + {older}",
        name="known-security",
        fix="a securityContext keeps to what Pod Security's baseline allows: safe sysctls, profiles RuntimeDefault or "
        "Localhost, SELinux types of containers, no windowsOptions, no procMount",
    )


@cache
def known_fields() -> Rule:
    """A pod uses only fields that these rules know."""
    unknown_of_pod = f"variables.spec.filter(k, !(k in {listed(podspec.POD_FIELDS)}))"
    odd = containers(f"!{only('c', podspec.CONTAINER_FIELDS)}")
    return without(
        f"{unknown_of_pod} + {odd}",
        name="known-fields",
        fix="a pod uses only fields that these rules know; remove the fields, or those of the containers, that are "
        "named here",
    )
