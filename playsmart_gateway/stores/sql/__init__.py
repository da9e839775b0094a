"""What SQLite and PostgreSQL have in common: statements, and what is made of rows.

The engines hand in a ``Database`` and fill in what they say differently. Nothing here opens a
connection or imports a driver. Begin with ``database``.
"""
