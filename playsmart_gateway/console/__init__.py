"""The pages for operators and developers: dashboard, inspector, demo, and who may see them.

``access`` is the gate before all of them. They read what the gateway counts and stores and change
nothing, and a page that fails takes no request down. Begin with ``access``.
"""
