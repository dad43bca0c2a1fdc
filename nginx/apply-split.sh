#!/bin/sh
# Takes over each split that `abtest` leaves as $STATE_DIR/next.conf: nginx tests it, and the answer, "ok" or what is wrong
# with it, goes to $STATE_DIR/answer. Rotates the ledger on the way. Runs beside nginx, whose commands it needs.
#
#   apply-split.sh first   puts in place what nginx starts with: the split in force before, else the default
#   apply-split.sh         waits for others
set -u
: "${CONF_DIR:=/etc/nginx}" "${STATE_DIR:=/state}" "${LEDGER_DIR:=/ledger}" "${RUN_DIR:=/run/nginx}" "${NGINX_COMMAND:=nginx}"
: "${LEDGER_BYTES:=67108864}" "${LEDGER_FILES:=20}"

# What nginx says of the configuration with $1 for its split; nothing where all is well.
fault() {
    sed "s|$STATE_DIR/split.conf|$1|" "$CONF_DIR/nginx.conf" >"$RUN_DIR/test.conf"
    "$NGINX_COMMAND" -t -q -c "$RUN_DIR/test.conf" 2>&1 && return
    echo "nginx refuses it"
}

first() {
    mkdir -p "$STATE_DIR" "$LEDGER_DIR"
    rm -f "$STATE_DIR/next.conf" "$STATE_DIR/answer"
    cp "$CONF_DIR/site.json" "$STATE_DIR/site.json"
    if [ -f "$STATE_DIR/split.conf" ]; then
        why=$(fault "$STATE_DIR/split.conf")
        [ -z "$why" ] && return
        echo "nginx: the split of before does not fit any more, so all variants take turns: $why" >&2
    fi
    cp "$CONF_DIR/split.conf" "$STATE_DIR/split.conf"
}

take_over() {
    why=$(fault "$STATE_DIR/next.conf")
    if [ -z "$why" ]; then
        mv "$STATE_DIR/next.conf" "$STATE_DIR/split.conf"
        "$NGINX_COMMAND" -c "$CONF_DIR/nginx.conf" -s reload && why=ok
    else
        rm -f "$STATE_DIR/next.conf"
    fi
    echo "$why" >"$STATE_DIR/answer.new"
    mv "$STATE_DIR/answer.new" "$STATE_DIR/answer"
}

rotate() {
    [ -n "$(find "$LEDGER_DIR/ledger.jsonl" -size "+${LEDGER_BYTES}c" 2>/dev/null)" ] || return
    mv "$LEDGER_DIR/ledger.jsonl" "$LEDGER_DIR/ledger-$(date -u +%Y%m%dT%H%M%S).jsonl"
    "$NGINX_COMMAND" -c "$CONF_DIR/nginx.conf" -s reopen
    ls "$LEDGER_DIR" | grep '^ledger-' | sort -r | tail -n "+$LEDGER_FILES" | while read -r old; do
        rm -f "$LEDGER_DIR/$old"
    done
}

[ "${1:-}" != first ] || { first; exit; }
rounds=0
while :; do
    [ ! -f "$STATE_DIR/next.conf" ] || take_over
    rounds=$((rounds + 1))
    [ $((rounds % 40)) -ne 0 ] || rotate
    sleep 0.25
done
