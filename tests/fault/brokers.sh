#!/bin/bash
# fleet.py's modes that need brokers of their own, one round each.
exec /usr/bin/python3 -B "$(dirname "$0")/fleet.py" "$1" 1 restart pause three slow cut
