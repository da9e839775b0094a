"""The client for Python, and the adapter by which it is tried."""
