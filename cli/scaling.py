"""Reads whether an autoscaler adds nodes when pods wait. Changes nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from lightkube import ApiError, Client
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import ConfigMap

AUTOSCALER: Final = ("cluster-autoscaler-status", "kube-system")
"""The ConfigMap of the Cluster Autoscaler, also in GKE and AKS."""
KARPENTER: Final = "nodepools.karpenter.sh"
"""The CRD of Karpenter, also in EKS Auto Mode and AKS."""


def has_crd(client: Client, name: str) -> bool:
    """Return whether the cluster has a CRD. Raises `ApiError` where that can't be read."""
    try:
        client.get(CustomResourceDefinition, name)
    except ApiError as error:
        if error.status.code != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


def brings_nodes(client: Client) -> bool | None:
    """Return whether an autoscaler of nodes is there; None where that can't be read."""
    name, space = AUTOSCALER
    try:
        client.get(ConfigMap, name, namespace=space)
    except ApiError as error:
        try:
            if has_crd(client, KARPENTER):
                return True
        except ApiError:
            return None
        return False if error.status.code == HTTPStatus.NOT_FOUND else None
    return True
