#!/bin/sh
# Keeps the certificates of an authority of its own: makes what is missing, renews what ends soon, leaves the rest.
#
#   certificates.sh AUTHORITY CERTIFICATES LIST [--every SECONDS]
#
# AUTHORITY is the folder of ca.crt and ca.key, which nothing but this script reads. CERTIFICATES gets ca.crt, and NAME.crt
# (its own certificate alone) and NAME.key for each line of LIST: `NAME OWNER NAMES`, where OWNER is the account whose group may
# read the key (or - for whoever runs this), and NAMES are OpenSSL's: DNS:catalog.example.com,IP:192.0.2.10.
# With --every it goes on for ever, for where there is no timer.
#
# CERTIFICATE_DAYS (90) is how long a certificate is valid, RENEW_DAYS (30) how long before its end it is renewed.
# What reads the files has to look at them again: the gateway does, PostgreSQL wants `pg_ctl reload`, RabbitMQ reads them
# for each connection within minutes. The authority lasts ten years; renew it by moving its folder away.
set -eu
umask 077

authority=$1 certificates=$2 list=$3
days=${CERTIFICATE_DAYS:-90} renew_days=${RENEW_DAYS:-30}

make_authority() {
    test -s "$authority/ca.crt" && return
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj "/CN=Chandlery authority" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$authority/ca.key" -out "$authority/new.crt" 2>/dev/null
    mv "$authority/new.crt" "$authority/ca.crt"
    echo "made an authority in $authority"
}

publish_authority() {
    cmp -s "$authority/ca.crt" "$certificates/ca.crt" && return
    cp "$authority/ca.crt" "$certificates/ca.crt.new"
    chmod 644 "$certificates/ca.crt.new"
    mv "$certificates/ca.crt.new" "$certificates/ca.crt"
}

is_good() { # NAME NAMES: valid for a while, ours, and for these names
    crt=$certificates/$1.crt
    test -s "$crt" && test -s "$certificates/$1.key" || return 1
    openssl x509 -in "$crt" -noout -checkend $((renew_days * 86400)) >/dev/null || return 1
    openssl verify -CAfile "$authority/ca.crt" "$crt" >/dev/null 2>&1 || return 1
    test "$(cat "$certificates/$1.names" 2>/dev/null)" = "$2"
}

renew() { # NAME OWNER NAMES
    new=$certificates/.new-$1
    rm -rf "$new"
    mkdir "$new"
    printf 'subjectAltName=%s\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n' "$3" \
        >"$new/extensions"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$1" -keyout "$new/key" -out "$new/csr" 2>/dev/null
    openssl x509 -req -in "$new/csr" -CA "$authority/ca.crt" -CAkey "$authority/ca.key" -days "$days" \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$new/extensions" -out "$new/crt" 2>/dev/null
    printf '%s\n' "$3" >"$new/names"
    chmod 644 "$new/crt" "$new/names"
    if test "$2" != -; then
        chgrp "$2" "$new/key"
        chmod 640 "$new/key"
    fi
    # Whoever looks between the two finds a key that does not fit, keeps the old ones, and looks again.
    mv "$new/key" "$certificates/$1.key"
    mv "$new/crt" "$certificates/$1.crt"
    mv "$new/names" "$certificates/$1.names"
    rm -rf "$new"
    echo "made a certificate for $1 ($3), valid for $days days"
}

keep() {
    make_authority
    publish_authority
    # The last line may have no end.
    while read -r name owner names rest || test -n "$name"; do
        case $name in '' | '#'*) continue ;; esac
        if test -z "$names" || test -n "$rest"; then
            echo "$list: '$name $owner $names $rest' is not NAME OWNER NAMES" >&2
            exit 2
        fi
        is_good "$name" "$names" || renew "$name" "$owner" "$names"
    done <"$list"
}

mkdir -p "$authority" "$certificates"
if test "${4:-}" = --every; then
    # The first process of a container is told nothing by a signal that it does not ask for.
    sleeping=
    trap 'test -z "$sleeping" || kill "$sleeping"; exit 0' TERM INT
fi
keep
while test "${4:-}" = --every; do
    sleep "$5" &
    sleeping=$!
    wait "$sleeping"
    sleeping=
    keep
done
