#!/bin/sh
# One dump of the database into a folder, checked, and then the oldest ones beyond BACKUPS_KEPT (14) removed.
#
#   PGHOST=… PGDATABASE=chandlery PGUSER=chandlery_owner PGPASSWORD=… backup.sh FOLDER [--every SECONDS]
#
# A dump that could not be made or read back removes nothing. With --every it goes on for ever, for where there is no timer, and a
# failure is told and tried again the next time. Keep the encryption keys elsewhere: without them the Secrets in a dump
# are lost. How to restore one: docs/backup.md.
set -eu
umask 077

folder=$1
kept=${BACKUPS_KEPT:-14}
case $kept in '' | *[!0-9]* | 0) echo "BACKUPS_KEPT is '$kept'; it has to be a number from 1 on" >&2 && exit 2 ;; esac

back_up() {
    name=chandlery-$(date -u +%Y%m%dT%H%M%SZ).dump
    rm -f "$folder"/.unfinished-*
    pg_dump --format=custom --file="$folder/.unfinished-$name" || return 1
    # All of it is read back: its table of contents stands at its beginning, so that a list of it says nothing of the rest.
    pg_restore --file=/dev/null "$folder/.unfinished-$name" || return 1
    mv "$folder/.unfinished-$name" "$folder/$name" || return 1
    echo "wrote $folder/$name, $(wc -c <"$folder/$name") bytes"
    # Their names sort by time.
    for old in $(ls "$folder" | grep '^chandlery-[0-9TZ]*\.dump$' | sort -r | tail -n +$((kept + 1))); do
        rm -f "${folder:?}/$old"
        echo "removed $folder/$old"
    done
}

if test "${2:-}" != --every; then
    back_up
    exit
fi
# The first process of a container is told nothing by a signal that it does not ask for.
sleeping=
trap 'test -z "$sleeping" || kill "$sleeping"; exit 0' TERM INT
while true; do
    back_up || echo "the backup failed; the next one is tried in $3 s" >&2
    sleep "$3" &
    sleeping=$!
    wait "$sleeping"
    sleeping=
done
