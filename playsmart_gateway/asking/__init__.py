"""Answers a stranger's SQL: one SELECT over the documented relations, and never more than it may.

It owns what may be read (``relations``), what a question and its answer are (``question``), and the
process in which each is answered (``process`` starts it, ``__main__`` is it). That process has its
own limits of time, memory and size of files, so a question that no rule foresaw ends there. SQLite
itself says what a statement would touch (``in_sqlite``). For PostgreSQL its words are held against
the catalogs first (``words``), as a transaction that only reads may still call functions
(``in_postgres``). The lake has a guard of its own (``in_lake``). It never writes, knows no HTTP,
and is no part of a gateway: it reads beside one. Begin with ``process``.
"""
