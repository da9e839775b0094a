"""Lets an assistant ask a gateway's store: eight tools that only read, by the protocol MCP.

It owns the tools, what they say of themselves, and the two ways to them: ``tools`` over standard
input and output, ``http`` behind the operator's token. What they ask is answered by ``asking``, in
processes that have limits, and by what the catalogue has learned. It runs beside a gateway and is
no part of one. Without the extra ``mcp``, the official SDK, nothing of it can be imported, and
nothing but the command ``mcp`` imports it. Begin with ``tools``.
"""
