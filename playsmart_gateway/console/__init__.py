"""The pages for operators: the dashboard, the inspector, and who may see them.

``access`` is the gate before both. They read what the gateway counts and stores and change
nothing, and a page that fails takes no request down. Begin with ``access``.
"""
