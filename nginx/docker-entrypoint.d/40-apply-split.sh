#!/bin/sh
# Before nginx starts, puts its split in place; then stays beside it to take over the next ones.
set -e
apply-split.sh first
apply-split.sh &
