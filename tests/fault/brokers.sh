#!/bin/bash
# fleet.py's modes that need brokers of their own, one round each. With leases that outlast the election of a leader on a busy machine: a question to
# brokers that have none may take seconds, and who waits for its answer doesn't renew.
export SHOAL_FLEET_LEASE=8
exec /usr/bin/python3 -B "$(dirname "$0")/fleet.py" "$1" 1 restart pause plan three slow cut
