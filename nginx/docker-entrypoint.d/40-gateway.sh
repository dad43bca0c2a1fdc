#!/bin/sh
# Puts in place what nginx starts with; then stays beside it.
set -e
gateway.sh first
gateway.sh keep &
