"""The store of ``memory:``, for trying things out and for tests; gone with the process.

It keeps the contract of ``stores.contract`` in plain Python. Begin with ``store``.
"""
