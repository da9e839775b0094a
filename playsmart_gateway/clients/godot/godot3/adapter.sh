#!/bin/sh
# Starts adapter.gd. The engine prints lines of its own among the answers, and holds back all lines.
stdbuf -oL godot3-server --path "$(dirname "$0")" --script adapter.gd | sed -nu '/^{/p'
