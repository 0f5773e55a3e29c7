#!/bin/bash
exec /usr/bin/python3 -B "$(dirname "$0")/fleet.py" "$@"
