#!/bin/sh
# Puts account, folders, units and examples of settings into their places; run it as root from the release's archive, again
# after each upgrade. Files in /etc/chandlery that are there are left as they are. ROOT=/somewhere for another root folder.
#
#   deploy/systemd/install.sh
set -eu
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
root=${ROOT:-}

put() { install -D --mode="$1" "$2" "$root$3"; }
put_once() { test -e "$root$3" || put "$1" "$2" "$3"; }

put 644 "$here/sysusers.conf" /usr/lib/sysusers.d/chandlery.conf
put 644 "$here/tmpfiles.conf" /usr/lib/tmpfiles.d/chandlery.conf
for unit in "$here"/chandlery*.service "$here"/chandlery*.timer "$here"/chandlery*.target "$here"/chandlery-*.service.d/*.conf; do
    put 644 "$unit" "/etc/systemd/system/${unit#"$here"/}"
done
put 755 "$here/../certificates.sh" /opt/chandlery/deploy/certificates.sh
put 755 "$here/../backup.sh" /opt/chandlery/deploy/backup.sh
put 755 "$here/chandlery-as" /usr/local/sbin/chandlery-as
put 644 "$here/../prometheus.yml" /opt/chandlery/deploy/prometheus.yml
put 644 "$here/../alerts/chandlery.rules.yaml" /opt/chandlery/deploy/alerts/chandlery.rules.yaml
put 644 "$here/../../docs/production.md" /opt/chandlery/docs/production.md
put_once 644 "$here/chandlery.env" /etc/chandlery/chandlery.env
put_once 644 "$here/certificates.conf" /etc/chandlery/certificates.conf

systemd-sysusers ${root:+--root="$root"} chandlery.conf
systemd-tmpfiles --create ${root:+--root="$root"} chandlery.conf
if test -z "$root" && test -d /run/systemd/system; then
    systemctl daemon-reload
fi
echo "the units are in $root/etc/systemd/system; what is left to be filled in is in $root/etc/chandlery"
