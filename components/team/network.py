"""Network policies of a tenant's namespace, as data. Pure: no Pulumi import.

The default is deny. Allowed, and why:
- inside the namespace: all (KAI's webhooks are called by the virtual API server; tenants' pods talk to each other);
- DNS: every pod to the host's DNS; the virtual cluster's own DNS pod forwards there;
- tenant API: anybody to the control plane's port, because that is where tenants and `pulumi up` come in;
- control plane: to the host's API server (the syncer) and to kubelets (logs, exec), whose addresses are not known here;
- workloads: to the internet, never to private ranges (the host's nodes, other tenants, metadata services).
Network policies do not separate tenants that share a node's kernel or GPU.
"""

from __future__ import annotations

from typing import Final

from names import Object

PRIVATE_RANGES: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
"""RFC 1918, carrier-grade NAT (used by several pod networks) and link-local (cloud metadata services)."""
TENANT_API_PORT: Final = 8443
"""What a vCluster's control plane listens on (chart default)."""
API_SERVER_PORTS: Final = (443, 6443, 16443)
"""Kubernetes' default, kubeadm's and k3s', microk8s'."""
KUBELET_PORT: Final = 10250
DNS_PORTS: Final = (53, 1053)
"""1053: the virtual cluster's CoreDNS listens there without privileges (vCluster chart)."""


def policies(team: str) -> dict[str, Object]:
    """Return the specs by object name."""
    dns = [{"port": port, "protocol": protocol} for port in DNS_PORTS for protocol in ("UDP", "TCP")]
    below = [{"port": port, "protocol": "TCP"} for port in (*API_SERVER_PORTS, KUBELET_PORT)]
    return {
        "tenant": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {}}]}],
            "egress": [
                {"to": [{"podSelector": {}}]},
                {"to": [{"namespaceSelector": {}}], "ports": dns},
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_RANGES)}}]},
            ],
        },
        "control-plane": {
            "podSelector": {"matchLabels": {"app": "vcluster", "release": team}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": TENANT_API_PORT, "protocol": "TCP"}]}],
            "egress": [{"ports": below}],
        },
    }
