"""Guards: refuse what must never happen before anything is registered, in the program and in the commands before it.

Each file has one guard: the declared numbers (`quota.py`), what the state remembers (`memory.py`), the cluster as it is
(`live.py`), and so on. `program.py` asks all of them for a plain `pulumi preview` or `up`; the commands call the same
functions. Every guard has an override in the stack file that ends on a date (`refusal.py`).
"""
