# A line for people from each request: when, who, what, how long, which request; lines that are no request's as they are.
# In: time, request, variant, drawn by, status, class as JSON, probability, seconds; separated by tabs.
BEGIN {
    FS = "\t"
    for (i = 0; i < 16; i++) digit[substr("0123456789abcdef", i + 1, 1)] = i
}

# With LOG=json these are the ledger's lines. Logs travel further than it does: what entitles to label stays in it.
NF != 8 { sub(/,"ticket":"[0-9a-f]*"/, ""); print; fflush(); next }

{
    split($1, stamp, /[T.]/)
    shadow = $4 == "shadow"
    failing = $5 >= 500
    what = $5 == 499 ? "client left" : failing ? "failed (" $5 ")" : "refused (" $5 ")"
    if ($5 < 400) what = class($6) ($7 == "null" ? "" : sprintf(" %.2f", $7))
    took = $8 == "null" ? "-" : sprintf("%d ms", 1000 * $8 + 0.5)
    note = shadow || $4 == "forced" ? $4 : ""
    if (!shadow && $2 in failed && failed[$2] != $3) note = "failover from " failed[$2]
    if (!failing && failures[$3] > 1) note = note (note ? ", " : "") "after " failures[$3] " failures"
    # While a variant is away, whoever answers in its place says so: a line a request, not two.
    if (!(failing && failures[$3] && (shadow || note == "" && other_answers($3)))) {
        note = note ? "  (" note ")" : ""
        printf "%s %-10s %s %8s  %s%s\n", stamp[2], $3, padded(what, 18), took, length($2) == 32 ? substr($2, 1, 8) "…" : $2, note
        fflush()
    }
    if (failing) failures[$3]++
    else if ($5 != 499) failures[$3] = 0
    if (failing && !shadow) {
        # Enough of them to recognise the answer that follows.
        delete failed[recent[++passed_on % 1000]]
        recent[passed_on % 1000] = $2
        failed[$2] = $3
    } else if (!shadow) delete failed[$2]
}

# Whether a variant other than this one answered last time.
function other_answers(variant,    name) {
    for (name in failures) if (name != variant && failures[name] == 0) return 1
    return 0
}

# A text of at least so many columns on a screen: here letters are their UTF-8 bytes, and those of East Asia are twice as wide.
function padded(text, columns,    shown) {
    shown = text
    gsub(/[\200-\277]/, "", shown)
    gsub(/[\343-\355\360]/, "--", shown)
    return sprintf("%-" (columns + length(text) - length(shown)) "s", text)
}

# The text of a JSON string.
function class(json,    text, code, low) {
    if (json == "null") return "no class"
    text = ""
    json = substr(json, 2, length(json) - 2)
    while (match(json, /\\./)) {
        text = text substr(json, 1, RSTART - 1)
        if (substr(json, RSTART + 1, 1) != "u") {
            text = text substr(json, RSTART + 1, 1)
            json = substr(json, RSTART + 2)
            continue
        }
        code = hex(substr(json, RSTART + 2, 4))
        json = substr(json, RSTART + 6)
        if (code >= 55296 && code < 56320) {
            low = hex(substr(json, 3, 4))
            json = substr(json, 7)
            code = 65536 + (code - 55296) * 1024 + low - 56320
        }
        text = text utf8(code)
    }
    return text json
}

function hex(digits,    value, i) {
    value = 0
    for (i = 1; i <= length(digits); i++) value = 16 * value + digit[substr(digits, i, 1)]
    return value
}

function utf8(code) {
    if (code < 128) return sprintf("%c", code)
    if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
    if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
    return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}
