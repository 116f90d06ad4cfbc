"""Why a pod waits, or was lost: one sentence with the cause, one with the fix. Pure.

Owns: the search, from the pod (its containers, the kubelet) outwards (the border between a virtual cluster and the
host, the binder, the queue, the nodes, the scheduler). Each file is one of these places; each of its functions returns
a `Why` or None.
Leaves to others: reading the clusters (`seen/read.py`), showing it (`cli`).
"""

from seen.why.model import Why
from seen.why.search import NoSuchPodError, lost, why, whys
from seen.why.would import Request, Would, for_team, leaves_of, would
