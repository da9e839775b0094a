"""Schemathesis against a running gateway: what the document says, held against what happens."""
