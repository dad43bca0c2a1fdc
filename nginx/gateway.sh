#!/bin/sh
# nginx's companion. The experiment service says which split is asked for; nginx tests it and takes it over, and the last
# good one lies in $STATE_DIR for the next start, with or without the service. It also keeps the ledger in files, sees
# which variant gives no sign of life, and prints who served.
#
#   gateway.sh first     before nginx starts: puts in place what it starts with
#   gateway.sh follow    stays beside nginx
#   gateway.sh keep      the same, and begins again where it ends
set -u
: "${CONF_DIR:=/etc/nginx}" "${STATE_DIR:=/gateway}" "${LEDGER_DIR:=/ledger}" "${RUN_DIR:=/run/nginx}"
: "${NGINX_COMMAND:=nginx}" "${LISTEN:=80}" "${WORKERS:=auto}" "${OWN_PORTS:=}" "${LOG:=short}"
: "${HOSTS:=names}" "${DOMAIN:=}" "${RESOLVER:=}" "${GATEWAY:=$(hostname)}"
# nginx knows no search domains, so where names need one, DOMAIN says it.
: "${EXPERIMENT_URL:=http://experiment${DOMAIN:+.$DOMAIN}:8010}"
# A variant that hangs is waited for so many seconds, one that is only busy for BUSY_S more.
: "${ANSWER_S:=3}" "${BUSY_S:=10}"
# Who may do what, and how much of it (0: any); behind proxies, from whom it is believed who asks.
case ${ADDRESS:=127.0.0.1} in 127.* | localhost) : "${ACCESS:=open}" ;; *) : "${ACCESS:=token}" ;; esac
: "${FORCED:=anyone}" "${PUBLIC_URL:=}" "${TRUSTED_PROXIES:=}"
: "${LOGINS_PER_MINUTE:=10}" "${UPLOADS:=600}"
[ "$ACCESS" = open ] && : "${PREDICTIONS_PER_MINUTE:=0}" "${FEEDBACK_PER_MINUTE:=0}" "${UPLOADS_PER_CLIENT:=0}"
: "${PREDICTIONS_PER_MINUTE:=600}" "${FEEDBACK_PER_MINUTE:=120}" "${UPLOADS_PER_CLIENT:=8}"
: "${TLS_CERT:=}" "${TLS_KEY:=}" "${LISTEN_TLS:=443}" "${LISTEN_REDIRECT:=80}"
[ ! -d "$TLS_CERT" ] || { TLS_KEY=${TLS_KEY:-$TLS_CERT/privkey.pem} TLS_CERT=$TLS_CERT/fullchain.pem; }
: "${FIRST_WAIT_S:=15}" "${LEDGER_BYTES:=67108864}" "${LEDGER_FILES:=20}" "${LEDGER_FREE_MB:=64}"
# What is kept in memory, in a container: lines for people, and errors.
LOG_BYTES=4194304
ROUTES=$STATE_DIR/routes.in

say() { echo "gateway: $*" >>"$RUN_DIR/error.log"; }

# Ends with a sentence where a setting cannot be.
check() {
    for name in PREDICTIONS_PER_MINUTE FEEDBACK_PER_MINUTE LOGINS_PER_MINUTE UPLOADS UPLOADS_PER_CLIENT; do
        eval "value=\$$name"
        echo "$value" | grep -Eq '^[0-9]{1,6}$' || stop "$name=$value is no whole number."
    done
    [ "$LOGINS_PER_MINUTE" -gt 0 ] && [ "$UPLOADS" -gt 0 ] || stop "LOGINS_PER_MINUTE and UPLOADS are more than 0."
    case $ACCESS in open | token) ;; *) stop "ACCESS=$ACCESS is neither open nor token." ;; esac
    case $FORCED in anyone | operator) ;; *) stop "FORCED=$FORCED is neither anyone nor operator." ;; esac
    echo "$DOMAIN" | grep -Eq '^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*)?$' ||
        stop "DOMAIN=$DOMAIN is no domain such as photos.svc.cluster.local."
    echo "$TRUSTED_PROXIES" | grep -Eq '^[0-9a-fA-F.:/, ]*$' ||
        stop "TRUSTED_PROXIES=$TRUSTED_PROXIES is no list of addresses, such as 10.0.0.0/8 192.168.1.2."
    echo "$PUBLIC_URL" | grep -Eq '^(https?://[A-Za-z0-9.:-]+)?$' ||
        stop "PUBLIC_URL=$PUBLIC_URL is no address such as https://photos.example.org, without a path."
    [ -n "$TLS_CERT" ] || return 0
    case $PUBLIC_URL in https://*) ;; *) stop "With TLS_CERT, PUBLIC_URL says where people are sent: https://…" ;; esac
    for file in "$TLS_CERT" "$TLS_KEY"; do
        [ -r "$file" ] || stop "TLS_CERT and TLS_KEY: $file cannot be read by user $(id -u)."
    done
}

stop() { echo "gateway: $*" >&2; exit 1; }

# Keeps the lines that are marked $1 where there is $2, else drops them.
where() { [ -n "$2" ] && echo "s/^@$1@//" || echo "/^@$1@/d"; }

more_than_none() { [ "$1" = 0 ] || echo yes; }

# What the service wrote, with this gateway's own words in it.
fill() {
    case $HOSTS in
        local) resolver= hosts='s/@host:[^@]*@/127.0.0.1/g' ;;
        dns) resolver=$RESOLVER hosts=":a
s/\(@host:[^@_]*\)_/\1-/
ta
s/@host:\([^@]*\)@/\1${DOMAIN:+.$DOMAIN}/g" ;;
        *) resolver=$RESOLVER hosts="s/@host:\([^@]*\)@/\1${DOMAIN:+.$DOMAIN}/g" ;;
    esac
    if [ "$HOSTS" != local ] && [ -z "$resolver" ]; then
        resolver=$(sed -n 's/^nameserver \([0-9.]*\)$/\1/p' /etc/resolv.conf | head -n 1)
    fi
    [ "$LOG" = json ] && log=ledger || log=people
    sed -e "$hosts" \
        -e "$(where dns "$resolver")" -e "$(where own "$OWN_PORTS")" -e "$(where tls "$TLS_CERT")" \
        -e "$(where forced "$(echo "$FORCED" | grep operator)")" \
        -e "$(where limit_predictions "$(more_than_none "$PREDICTIONS_PER_MINUTE")")" \
        -e "$(where limit_feedback "$(more_than_none "$FEEDBACK_PER_MINUTE")")" \
        -e "$(where limit_client "$(more_than_none "$UPLOADS_PER_CLIENT")")" \
        -e "s|@predictions@|$PREDICTIONS_PER_MINUTE|g; s|@feedback@|$FEEDBACK_PER_MINUTE|g" \
        -e "s|@logins@|$LOGINS_PER_MINUTE|g; s|@uploads@|$UPLOADS|g; s|@per_client@|$UPLOADS_PER_CLIENT|g" \
        -e "s|@proxies@|$(proxies)|g; s|@public_url@|$PUBLIC_URL|g; s|@tls_cert@|$TLS_CERT|g; s|@tls_key@|$TLS_KEY|g" \
        -e "s|@listen_tls@|$LISTEN_TLS|g; s|@listen_redirect@|$LISTEN_REDIRECT|g" \
        -e "s|@resolve@|${resolver:+ resolve}|g; s|@resolver@|$resolver|g; s|@workers@|$WORKERS|g; s|@listen@|$LISTEN|g" \
        -e "s|@run@|$RUN_DIR|g; s|@state@|$STATE_DIR|g; s|@ledger@|$LEDGER_DIR|g; s|@log@|$log|g" \
        -e "s|@answer@|$ANSWER_S|g; s|@busy@|$BUSY_S|g; s|@patience@|$((2 * ANSWER_S + BUSY_S + 2))|g" \
        -e "s|@experiment@|${EXPERIMENT_URL#http://}|g; s|@gateway@|$GATEWAY|g; s|@born@|$(cat "$RUN_DIR/born")|g" "$1"
}

proxies() {
    [ -n "$TRUSTED_PROXIES" ] || return 0
    for proxy in $(echo "$TRUSTED_PROXIES" | tr , ' '); do printf 'set_real_ip_from %s; ' "$proxy"; done
    echo 'real_ip_header X-Forwarded-For; real_ip_recursive on;'
}

epoch_of() { sed -n '1s/^# epoch \([0-9]*\)$/\1/p' "$1"; }

# What nginx says of the routes in $1; nothing where all is well.
fault() {
    fill "$1" >"$RUN_DIR/next.conf"
    # A test listens for a moment. Where nginx is still to start, somebody might hear that.
    sed "s|listen $LISTEN |listen unix:$RUN_DIR/test.sock |; s|listen $LISTEN_TLS |listen unix:$RUN_DIR/tls.sock |" \
        "$RUN_DIR/next.conf" >"$RUN_DIR/test.routes"
    sed "s|$RUN_DIR/routes.conf|$RUN_DIR/test.routes|; s|listen $LISTEN_REDIRECT;|listen unix:$RUN_DIR/redirect.sock;|" \
        "$RUN_DIR/nginx.conf" >"$RUN_DIR/test.conf"
    said=$("$NGINX_COMMAND" -t -q -c "$RUN_DIR/test.conf" 2>&1) && return
    echo "${said:-it did not say why}" | sed -n "1{s|^.*\] [0-9#]*: ||; s|$RUN_DIR/||g; p;}"
}

hear() { # PATH, then curl's further arguments; prints the body into $RUN_DIR/heard and says the status
    path=$1
    shift
    curl -sS -o "$RUN_DIR/heard" -D "$RUN_DIR/heard.headers" -w '%{http_code}' "$@" "$EXPERIMENT_URL/gateway/$path" \
        2>/dev/null
}

first() {
    check
    mkdir -p "$STATE_DIR/body" "$LEDGER_DIR" || exit 1
    # One that ended as it should took this file away.
    [ ! -f "$RUN_DIR/born" ] || count_lines "$([ ! -f "$RUN_DIR/nginx.pid" ] || echo 1)"
    # What a gateway that was killed left behind.
    rm -f "$RUN_DIR"/*.sock "$RUN_DIR"/hung-* "$RUN_DIR"/silent-* "$RUN_DIR"/people.* "$STATE_DIR"/written.*
    new_run
    echo '{"low":false}' >"$RUN_DIR/ledger.json"
    certificate >"$RUN_DIR/certificate"
    : >"$RUN_DIR/people.log"
    [ -f "$RUN_DIR/error.log" ] || : >"$RUN_DIR/error.log"
    fill "$CONF_DIR/nginx.conf.in" >"$RUN_DIR/nginx.conf"
    if [ -f "$ROUTES" ]; then
        why=$(fault "$ROUTES")
        [ -z "$why" ] && { mv "$RUN_DIR/next.conf" "$RUN_DIR/routes.conf"; return; }
        echo "gateway: the split of before does not fit any more: $why" >&2
        rm -f "$ROUTES"
    fi
    # A gateway that never served may wait a moment: the variants are loading their models anyway.
    tries=0
    while [ $tries -lt "$FIRST_WAIT_S" ]; do
        if [ "$(hear "split?gateway=$GATEWAY&wait=0" --max-time 2)" = 200 ]; then
            why=$(fault "$RUN_DIR/heard")
            [ -z "$why" ] && { take_note; return; }
            echo "gateway: $why" >&2
            break
        fi
        tries=$((tries + 1))
        sleep 1
    done
    echo "gateway: no split is known, so all variants take turns until the experiment service answers." >&2
    why=$(fault "$CONF_DIR/routes.in")
    [ -z "$why" ] || { echo "$why" >&2; exit 1; }
    mv "$RUN_DIR/next.conf" "$RUN_DIR/routes.conf"
}

# A run is a start of nginx, by the time of it; two within a second are two runs.
new_run() {
    run=$(date +%s)
    before=$(cat "$RUN_DIR/born" 2>/dev/null)
    [ "$run" -gt "${before:-0}" ] || run=$((before + 1))
    echo "$run" >"$RUN_DIR/born"
    # What was killed before is no business of this run.
    echo $((-$(kills_in "$RUN_DIR/error.log"))) >"$RUN_DIR/killed"
}

# How often nginx says that one of its workers was killed: what such a one had answered last may be in no ledger.
kills_in() { cat "$1" 2>/dev/null | grep -c 'exited on signal' || :; }

# Keeps what was heard as the last good one.
take_note() {
    cp "$RUN_DIR/heard" "$ROUTES.new"
    mv "$ROUTES.new" "$ROUTES"
    mv "$RUN_DIR/next.conf" "$RUN_DIR/routes.conf"
}

in_force() { curl -s --max-time 2 --unix-socket "$RUN_DIR/gateway.sock" http://nginx/epoch; }

# Has nginx load routes.conf; says nothing once its new workers serve epoch $1.
load() {
    kill -HUP "$(cat "$RUN_DIR/nginx.pid" 2>/dev/null)" 2>/dev/null || { echo "nginx is not running"; return; }
    waited=0
    while [ "$(in_force)" != "$1" ]; do
        [ $waited -lt 150 ] || { echo "nginx did not load it; its log says why"; return; }
        waited=$((waited + 1))
        sleep 0.1
    done
    # nginx tells its old workers to take no more 0.1 s after it started the new ones.
    sleep 0.2
}

take_over() {
    epoch=$(epoch_of "$RUN_DIR/heard")
    why=$(fault "$RUN_DIR/heard")
    if [ -z "$why" ]; then
        cp "$RUN_DIR/routes.conf" "$RUN_DIR/routes.before"
        mv "$RUN_DIR/next.conf" "$RUN_DIR/routes.conf"
        why=$(load "$epoch")
        if [ -z "$why" ]; then
            cp "$RUN_DIR/heard" "$ROUTES.new" && mv "$ROUTES.new" "$ROUTES" && return
            why="its last good split cannot be kept in $STATE_DIR"
        fi
        mv "$RUN_DIR/routes.before" "$RUN_DIR/routes.conf"
        kill -HUP "$(cat "$RUN_DIR/nginx.pid")" 2>/dev/null
    fi
    say "epoch $epoch is refused: $why"
    echo "$why" >"$RUN_DIR/why"
    hear "refusal?gateway=$GATEWAY&epoch=$epoch" --max-time 5 --data-binary "@$RUN_DIR/why" >/dev/null
}

follow() {
    watch $$ &
    helpers=$!
    feel $$ &
    helpers="$helpers $!"
    show $$ &
    helpers="$helpers $!"
    asking=
    # shellcheck disable=SC2086
    trap 'kill $helpers $asking 2>/dev/null; exit 0' TERM INT
    until [ -n "$(in_force)" ]; do sleep 0.1; done
    # Killed in mid-change, this script may have left nginx with another split than it keeps.
    [ -f "$ROUTES" ] && [ "$(in_force)" != "$(epoch_of "$ROUTES")" ] && {
        fill "$ROUTES" >"$RUN_DIR/routes.conf"
        load "$(epoch_of "$ROUTES")" >/dev/null
    }
    while :; do
        served=$CONF_DIR/routes.in
        [ ! -f "$ROUTES" ] || served=$ROUTES
        hung=$(cd "$RUN_DIR" && ls hung-* 2>/dev/null | sed 's/^hung-//' | tr '\n' ',')
        query="gateway=$GATEWAY&epoch=$(epoch_of "$served")&have=$(sum "$served")&wait=5"
        query="$query&run=$(cat "$RUN_DIR/born")&hung=$hung&written=$(tr ' \n' ':,' <"$STATE_DIR/written" 2>/dev/null)"
        grep -q '"low":true' "$RUN_DIR/ledger.json" && query="$query&low=1"
        # In the background, since a trap waits for what runs in the foreground.
        hear "split?$query" --max-time 10 >"$RUN_DIR/status" &
        asking=$!
        wait $asking
        asking=
        status=$(cat "$RUN_DIR/status")
        # The newest file of the ledger that was read to its end, and so all before it.
        case $status in
            20?) sed -n 's/^x-ledger-read: \(ledger-[A-Za-z0-9.-]*\).*$/\1/p' "$RUN_DIR/heard.headers" >"$RUN_DIR/read" ;;
        esac
        case $status in
            200) take_over ;;
            204) ;;
            409) # The record does not know this epoch: it is newer than the database, which was lost or put back.
                sed -n '2s/^# //p' "$served" >"$RUN_DIR/served"
                hear "served?gateway=$GATEWAY" --max-time 5 --data-binary "@$RUN_DIR/served" >/dev/null
                sleep 1
                ;;
            *) sleep 1 ;;
        esac
    done
}

sum() { { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -c 1-16; }

# Every second, while process $1 lives: what must not wait for the service.
watch() {
    # Killed while it rotated, this script left one file under both names.
    last=$LEDGER_DIR/$(rotated | sort | tail -n 1)
    # shellcheck disable=SC3013  (dash has it, and so have bash and busybox)
    [ ! -f "$last" ] || [ ! "$LEDGER_DIR/ledger.jsonl" -ef "$last" ] || rm -f "$LEDGER_DIR/ledger.jsonl"
    rounds=0
    while kill -0 "$1" 2>/dev/null; do
        # Deleted, or this script was killed while it rotated: nginx still writes to the file of before.
        [ -f "$LEDGER_DIR/ledger.jsonl" ] || reopen
        if [ $((rounds % 5)) -eq 0 ]; then
            bound_logs
            count_lines
            larger "$LEDGER_DIR/ledger.jsonl" "$LEDGER_BYTES" && rotate
            make_room
            # A certificate that was renewed is taken up.
            [ "$(certificate)" = "$(cat "$RUN_DIR/certificate")" ] || {
                certificate >"$RUN_DIR/certificate"
                kill -HUP "$(cat "$RUN_DIR/nginx.pid")" 2>/dev/null
            }
        fi
        rounds=$((rounds + 1))
        sleep 1
    done
}

certificate() { cat "$TLS_CERT" "$TLS_KEY" 2>/dev/null | cksum; }

larger() { [ -n "$(find "$1" -size "+${2}c" 2>/dev/null)" ]; }

reopen() { kill -USR1 "$(cat "$RUN_DIR/nginx.pid" 2>/dev/null)" 2>/dev/null; }

# Named by sequence: clocks go back. "s" sorts these after the dates that files were named by before. No number comes
# twice, though its file be gone: the service may still be saying that it has read it.
rotate() {
    last=$({ ls "$LEDGER_DIR"; cat "$STATE_DIR/rotated"; } 2>/dev/null |
        sed -n 's/^ledger-s0*\([0-9]*\)\.jsonl$/\1/p' | sort -n | tail -n 1)
    name=$(printf 'ledger-s%09d.jsonl' $((${last:-0} + 1)))
    echo "$name" >"$STATE_DIR/rotated"
    # A link fails where the name is taken, so that no file is ever overwritten.
    ln "$LEDGER_DIR/ledger.jsonl" "$LEDGER_DIR/$name" || return
    rm -f "$LEDGER_DIR/ledger.jsonl"
    reopen
    rotated | sort -r | tail -n "+$LEDGER_FILES" | while read -r old; do rm -f "$LEDGER_DIR/$old"; done
}

rotated() { ls "$LEDGER_DIR" | grep '^ledger-.*\.jsonl$'; }

# Below the margin, gives up the oldest files that were read, and says so where that is not enough.
make_room() {
    if scarce; then
        [ ! -s "$LEDGER_DIR/ledger.jsonl" ] || [ -n "$(rotated)" ] || rotate
        read_to=$(cat "$RUN_DIR/read" 2>/dev/null)
        rotated | sort | while read -r old; do
            scarce && [ -n "$read_to" ] && ! [ "$old" \> "$read_to" ] || break
            rm -f "$LEDGER_DIR/$old"
        done
    fi
    low=false
    scarce && low=true
    echo "{\"low\":$low,\"free_mb\":$(free_mb)}" >"$RUN_DIR/ledger.new"
    mv "$RUN_DIR/ledger.new" "$RUN_DIR/ledger.json"
}

free_mb() { df -Pk "$LEDGER_DIR" | awk 'NR == 2 {print int($4 / 1024)}'; }

scarce() { [ "$(free_mb)" -lt "$LEDGER_FREE_MB" ]; }

bound_logs() {
    larger "$RUN_DIR/error.log" $LOG_BYTES && mv "$RUN_DIR/error.log" "$RUN_DIR/error.old" && {
        reopen
        echo $(($(cat "$RUN_DIR/killed") + $(kills_in "$RUN_DIR/error.old"))) >"$RUN_DIR/killed"
    }
    counted=$(cat "$RUN_DIR/people.total" 2>/dev/null) || counted='0 0'
    file=$((${counted% *} + 1))
    [ -f "$RUN_DIR/people.$file" ] || {
        larger "$RUN_DIR/people.log" $LOG_BYTES || return 0
        mv "$RUN_DIR/people.log" "$RUN_DIR/people.$file"
        reopen
        # Its last lines come from requests that end just now.
        sleep 1
    }
    # The total first: killed in between, this script finds a number that is counted already, and goes on with the next.
    echo "$file $((${counted#* } + $(wc -l <"$RUN_DIR/people.$file")))" >"$RUN_DIR/people.new"
    mv "$RUN_DIR/people.new" "$RUN_DIR/people.total"
    rm -f "$RUN_DIR/people.$file"
}

# How many lines nginx has written, and how many of its workers were killed, in this run and in those before it, for the
# service to compare with what it read. Not beside the ledger: a volume that is full takes no file.
count_lines() {
    counted=$(cat "$RUN_DIR/people.total" 2>/dev/null) || counted='0 0'
    lines=$((${counted#* } + $(cat "$RUN_DIR/people.log" "$RUN_DIR/people.$((${counted% *} + 1))" 2>/dev/null | wc -l)))
    run=$(cat "$RUN_DIR/born")
    # While nginx starts anew its files are gone, but what was counted stays true.
    known=$(sed -n "s/^$run \([0-9]*\) .*$/\1/p" "$STATE_DIR/written" 2>/dev/null)
    [ "$lines" -ge "${known:-0}" ] || lines=$known
    killed=$(($(cat "$RUN_DIR/killed") + $(kills_in "$RUN_DIR/error.log") + ${1:-0}))
    { grep -v "^$run " "$STATE_DIR/written" 2>/dev/null | tail -n 19; echo "$run $lines $killed"; } >"$STATE_DIR/written.$$" &&
        mv "$STATE_DIR/written.$$" "$STATE_DIR/written"
}

# While process $1 lives: which variants give no sign of life.
feel() {
    while kill -0 "$1" 2>/dev/null; do
        probe
        sleep 1
    done
}

# A variant hangs that is silent three times in a row while another one is well: then nobody waits for it. From the first
# time on, nobody waits longer than ANSWER_S. One that refuses a connection is down, which costs no time.
probe() {
    [ -S "$RUN_DIR/gateway.sock" ] || return 0
    names=$(sed -n 's/^upstream replicas_\(.*\) {$/\1/p' "$RUN_DIR/routes.conf")
    # What was said of a variant that is no more.
    for file in "$RUN_DIR"/hung-* "$RUN_DIR"/silent-*; do
        name=${file##*/}
        echo "$names" | grep -qx "${name#*-}" || rm -f "$file"
    done
    # shellcheck disable=SC2046,SC2086  (names have no spaces)
    curl -s --parallel --max-time 3 --unix-socket "$RUN_DIR/gateway.sock" \
        -w '%{url_effective} %{http_code}\n' \
        $(for name in $names; do echo "-o /dev/null http://nginx/livez/$name"; done) >"$RUN_DIR/felt" 2>/dev/null
    well=$(grep -c ' 200$' "$RUN_DIR/felt")
    while read -r url status; do
        name=${url##*/}
        # Where no other can answer, one that is slow is better than none.
        [ "$status" != 504 ] || [ "$well" -gt 0 ] || status=slow
        case $status in
            000) ;; # nginx itself said nothing
            504)
                echo silent >>"$RUN_DIR/silent-$name"
                [ "$(wc -l <"$RUN_DIR/silent-$name")" -lt 3 ] || [ -f "$RUN_DIR/hung-$name" ] ||
                    { : >"$RUN_DIR/hung-$name"; say "$name hangs; the others answer for it."; }
                ;;
            *)
                rm -f "$RUN_DIR/silent-$name"
                [ ! -f "$RUN_DIR/hung-$name" ] || { rm -f "$RUN_DIR/hung-$name"; say "$name answers again."; }
                ;;
        esac
    done <"$RUN_DIR/felt"
}

# Prints what nginx and this script say, as long as process $1 lives.
show() {
    bound=$(tail --version >/dev/null 2>&1 && echo "--pid=$1")
    # Some awks wait for a block of input otherwise.
    now=$(awk -W version 2>/dev/null </dev/null | grep -q mawk && echo '-W interactive')
    # What was written before this began, too; but not again where this script was killed.
    from=+1
    [ ! -f "$RUN_DIR/shown" ] || from=0
    : >"$RUN_DIR/shown"
    # shellcheck disable=SC2086
    tail -q -n $from $bound -F "$RUN_DIR/people.log" "$RUN_DIR/error.log" 2>/dev/null | LC_ALL=C awk $now -f "$CONF_DIR/people.awk"
}

# To where "show" finds it: at the end a shell has something to say of whatever it waited for, which nobody needs.
[ "${1:-}" = first ] || exec 2>>"$RUN_DIR/error.log"

case ${1:-} in
    first) first ;;
    follow) follow ;;
    keep)
        trap 'kill $child 2>/dev/null; exit 0' TERM INT
        while :; do
            "$0" follow &
            child=$!
            wait $child
            sleep 1
        done
        ;;
    *) echo "usage: gateway.sh first|follow|keep"; exit 2 ;;
esac
