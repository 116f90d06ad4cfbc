"""What must never happen, refused before anything is registered: by the program, and by the commands before it.

One file for each thing that a guard asks: the declared numbers (`quota.py`), what the state remembers (`memory.py`),
the cluster as it is (`live.py`). `program.py` asks all of them for a plain `pulumi preview` or `up`; the commands ask
the same functions. Every guard has an override in the stack file that ends on a date (`refusal.py`).
"""
