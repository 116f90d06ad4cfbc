"""The few live calls that the program makes itself, and kubeconfig texts. No Pulumi import.

Owns: kubeconfig texts (`kubeconfig.py`, `stack.py`), waiting for what comes later (`waits.py`, `gpu_operator.py`),
deleting what KAI's hooks leave behind (`leftovers.py`), doing early what one of them does late (`kai_config.py`),
writing what no state holds (`puts.py`), stopping and renewing pods (`pods.py`), the one way to call a cluster
(`client.py`).
Leaves to others: every object that Pulumi can own.
"""

from __future__ import annotations

from kube.client import meet_types
from kube.gpu_operator import wait_for_gpu_operator
from kube.kai_config import apply_beside_helm
from kube.kubeconfig import KubeconfigError, at_address, one_context, team_kubeconfig, user_kubeconfig
from kube.leftovers import delete_leftovers
from kube.pods import renew_pods, stop_pods
from kube.puts import own_kinds, put
from kube.waits import (
    READ_DEADLINE_SECONDS,
    SECRET_DEADLINE_SECONDS,
    comes_later,
    read_report,
    read_secret,
    wait_until_admitted,
    wait_until_it_answers,
    wait_until_lowered,
)
