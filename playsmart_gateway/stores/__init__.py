"""The databases: narrow contracts, three engines, and what runs beside them.

``contract`` is what a store takes and does, ``readers`` what can be read of it, ``models`` what it
gives back. ``sqlite``, ``postgres`` and ``memory`` keep both and never import one another; what is
the same in SQL is in ``sql``. ``open`` picks one by its URL. What only takes events keeps
``contract.EventSink`` and need be no database. Nothing here knows HTTP, the journal or the buffer.
Begin with ``contract``, then ``sqlite.store``.
"""
