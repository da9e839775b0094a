"""From an accepted batch to the store: nothing that was acknowledged is lost on the way.

``intake`` is the one door. It writes to the ``journal`` and appends to the ``buffer`` in the same
order; ``flusher`` gives the head of the buffer to the store, and only what was stored leaves both.
``commit_queue`` is for requests that wait for their commit. ``wiring`` connects these parts, on
what ``machine`` has: clocks, threads, a disk; ``caretaker`` looks after them while they work. It
knows the contract of the stores and no engine, and no HTTP. Begin with ``intake``; of the journal,
with ``segments``.
"""
