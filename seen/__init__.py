"""What the clusters show now: one snapshot, read once, of the host and of each team's virtual cluster.

Owns: asking (`read.py`), and the answers as facts (`model.py`, `snapshot.py`, `pods.py`, `gpus.py`). Nothing is changed
and no Secret is read.
Leaves to others: which stack it is and how its clusters are reached (`cli`), what is made of the facts.

What can't be read is a `Gap` with its reason, never an error.
"""
