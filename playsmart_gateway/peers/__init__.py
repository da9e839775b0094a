"""What the worker processes of one gateway share, made before they are forked.

``scoreboard`` has the figures of each, ``channels`` carry messages from each to each, ``fair_lock``
gives turns at a store that takes one writer at a time, and ``peer`` is one process among the
others. Nothing here knows what the messages mean or what is counted. Begin with ``peer``.
"""
