"""The dashboard: a snapshot as one page, served on this machine alone or written as one file.

Owns: what the page shows (`facts.py`, pure), the page itself (`files/`, plain HTML, CSS and JavaScript without a build
step), the file (`onefile.py`), the server (`server.py`). Nothing is changed and no Secret is read.
Leaves to others: the snapshot (`seen`), which stack it is (`cli`).
"""
