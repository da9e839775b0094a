#!/bin/sh
# Starts adapter.gd. The engine prints two lines of its own first, and holds back what it prints.
stdbuf -oL godot3-server --path "$(dirname "$0")" --script adapter.gd | sed -u 1,2d
