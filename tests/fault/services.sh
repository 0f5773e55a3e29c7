#!/bin/bash
# The short form of tests/long/kills.py: SHOAL_KILLS (20) kills of a fleet's parts, slots and containers, with a look for leaks after each.
exec /usr/bin/python3 -B "$(dirname "$0")/../long/kills.py" "$1" "${SHOAL_KILLS:-20}"
