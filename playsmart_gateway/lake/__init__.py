"""The lake: what was stored, once more, as Parquet files in a folder or a bucket, for questions.

It owns the files, and a manifest that says which of them count and up to which event they go. It
follows the store by the ids of events, as everything does that follows it: each event is in one
file, whatever dies in between. A folder has the files of one game and day (of receipt, UTC), and
the scalars in customdata are columns of their own types.

``place`` is where files are, ``manifest`` what is there, ``columns`` makes tables of events,
``writer`` follows the store, ``compaction`` makes few files of many, ``forgetting`` takes players
and old events out, ``query`` asks all of it together with what is not written yet, ``views`` are
the store's, ``answering`` has the questions of a report answered from it, and ``process`` is the
process that writes beside a gateway. It never writes to the store, is never asked by ingest, and
knows no HTTP. Without ``lake.url`` nothing of it is imported. Begin with ``manifest``, then
``writer``.
"""
