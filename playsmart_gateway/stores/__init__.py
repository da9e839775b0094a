"""The databases: one contract, three engines, and what runs beside them.

``contract`` is what every store does and ``models`` what it gives back. ``sqlite``, ``postgres``
and ``memory`` keep it and never import one another; what is the same in SQL is in ``sql``.
``open`` picks one by its URL. Nothing here knows HTTP, the journal or the buffer. Begin with
``contract``, then ``sqlite.store``.
"""
