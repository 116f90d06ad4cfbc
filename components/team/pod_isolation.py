"""What a pod of a tenant may reach of its node, and which fields it may use at all. Pure: conditions in CEL.

Allow-lists: a field, a volume or a setting that no rule knows is refused, because a tenant is admin inside its virtual
cluster and Kubernetes gets new fields with every release. Each list holds what ordinary pods use
(`tests/lab/test_admission.py` has them: notebooks, training, model servers, CoreDNS, KAI's own, vCluster's own).
"""

from __future__ import annotations

from functools import cache

import podspec
from components.team.cel import Rule, containers, listed, only, text, without
from components.team.object_rules import new_volume
from settings.models import Isolation


@cache
def isolation(level: Isolation) -> tuple[Rule, ...]:
    """What a pod may reach of its node. Level `privileged` may reach everything."""
    if level is Isolation.PRIVILEGED:
        return ()
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
            containers(" || ".join((_host_ports(), *_probed_hosts()))),
            name="no-host-ports",
            fix="a container must not take a port of its node, nor have the node's kubelet call another host; remove "
            "hostPort, and host from probes and lifecycle hooks",
        ),
    )


def _known_volumes() -> Rule:
    claim = "v.ephemeral.volumeClaimTemplate"
    new = new_volume(f"{claim}.spec", f"{claim}.?metadata.?annotations.orValue({{}})")
    known = " && ".join(
        (
            only("v", ("name", *podspec.VOLUMES)),
            "v.?emptyDir.?medium.orValue('') in ['', 'Memory']",
            f"v.?projected.?sources.orValue([]).all(s, {only('s', podspec.PROJECTIONS)})",
            # Kubernetes makes that claim, so the rules about the tenant's claims do not judge it
            f"(!has(v.ephemeral) || ({new}))",
        )
    )
    return without(
        f"variables.spec.?volumes.orValue([]).filter(v, !({known})).map(v, v.name)",
        name="known-volumes",
        fix=f"a pod mounts only volumes of the kinds {', '.join(podspec.VOLUMES)}; a network volume comes by a "
        "PersistentVolumeClaim",
    )


def _known_security() -> Rule:

    def both(where: str) -> str:
        return " && ".join(
            (
                f"{where}.?seccompProfile.?type.orValue('RuntimeDefault') in {listed(podspec.PROFILES)}",
                f"{where}.?appArmorProfile.?type.orValue('RuntimeDefault') in {listed(podspec.PROFILES)}",
                f"{where}.?seLinuxOptions.?type.orValue('') in {listed(podspec.SELINUX_TYPES)}",
                f"{where}.?seLinuxOptions.?user.orValue('') == ''",
                f"{where}.?seLinuxOptions.?role.orValue('') == ''",
            )
        )

    pod, container = "variables.spec.?securityContext", "c.?securityContext"
    of_pod = " && ".join(
        (
            only(f"{pod}.orValue({{}})", podspec.POD_SECURITY_FIELDS),
            both(pod),
            f"{pod}.?sysctls.orValue([]).all(s, s.name in {listed(podspec.SYSCTLS)})",
        )
    )
    of_container = " && ".join(
        (
            only(f"{container}.orValue({{}})", podspec.CONTAINER_SECURITY_FIELDS),
            both(container),
            f"{container}.?procMount.orValue('Default') == 'Default'",
        )
    )
    older = (
        f"variables.annotations.filter(k, k.startsWith({text(podspec.APPARMOR_ANNOTATION)}) && "
        f"!variables.annotations[k].matches({text(f'^({podspec.APPARMOR_PROFILES})$')}))"
    )
    return without(
        f"(({of_pod}) ? [] : ['the pod']) + {containers(f'!({of_container})')} + {older}",
        name="known-security",
        fix="a securityContext keeps to what Pod Security's baseline allows: safe sysctls, profiles RuntimeDefault or "
        "Localhost, SELinux types of containers, no windowsOptions, no procMount",
    )


def _host_ports() -> str:
    return "c.?ports.orValue([]).exists(p, p.?hostPort.orValue(0) != 0)"


def _probed_hosts() -> tuple[str, ...]:
    return tuple(
        f"c.?{place}.?{way}.?host.orValue('') != ''"
        for place in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.?postStart", "lifecycle.?preStop")
        for way in ("httpGet", "tcpSocket")
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
