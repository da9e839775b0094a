"""The OpenAPI document at ``/openapi.json``, and the page at ``/docs`` that shows it.

``document`` puts together the pieces that dialects bring, which are made of ``parts``; ``page``
serves both. Nothing here knows a dialect or the configuration. Begin with ``document``.
"""
