"""The dashboard: figures of the last minute from this process, older ones from the store.

``window`` keeps the minute, ``routes`` serves the page and its figures.
"""
