"""The files to deploy with, each held against what it is about."""
