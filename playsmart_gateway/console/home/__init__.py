"""``/`` for a browser: what this is, how it is, what comes in, and where to go.

A stranger sees the name, the state and the links. Who may see the pages for operators is shown
figures, too, which ``/home/data`` tells; another part of the house may add a ``Panel``. Begin with
``routes``.
"""
