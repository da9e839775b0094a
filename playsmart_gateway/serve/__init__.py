"""Processes and sockets: uvicorn with limits, one process or several, and their end.

``server`` runs one application on its sockets, ``connection``, ``reading`` and ``cycle`` are
uvicorn's HTTP with a limit for all that a client could cost, ``express`` is the short way through
it, ``supervisor`` keeps several workers.
Nothing here knows what is served. Begin with ``server``.
"""
