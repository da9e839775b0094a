"""The page of the catalogue: what events are like, what is odd about them, and dead letters.

``routes`` serves the page and what it asks for; what it says comes from ``catalogue``.
"""
