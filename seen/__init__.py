"""What the clusters show now: one snapshot of the host and of each team's virtual cluster.

Owns: asking (`read.py`), and the answers as facts (`model.py`, `snapshot.py`, `pods.py`, `gpus.py`). It changes nothing
and reads no Secret.
Leaves to others: which stack it is and how to reach its clusters (`cli`), the use of the facts.

What can't be read becomes a `Gap` with its reason, never an error.
"""
