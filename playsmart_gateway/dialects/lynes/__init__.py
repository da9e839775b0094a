"""Lynes: ``POST /event`` (contract ``lynes.md``), one event a request, answered with its points."""
