"""The dashboard: a snapshot as one page, served only on this machine or written as one file.

Owns: what the page shows (`facts.py`, pure), the page itself (`files/`, plain HTML, CSS and JavaScript without a build
step), the file (`onefile.py`), the server (`server.py`). It changes nothing and reads no Secret.
Leaves to others: the snapshot (`seen`), which stack it is (`cli`).
"""
