"""Teak's server API (contract ``teak.md``): analytics events, identify, player properties."""
