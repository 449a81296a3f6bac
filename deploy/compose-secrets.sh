#!/bin/sh
# Makes the passwords, keys and the administrator's token that compose.yaml hands to containers as files, in deploy/secrets.
# What is there already is left as it is. Keep a copy of the folder, apart from the backups: with it the encryption key would be lost.
#
#   deploy/compose-secrets.sh [FOLDER]
set -eu
folder=${1:-$(CDPATH='' cd "$(dirname "$0")" && pwd)/secrets}
if test -e "$folder"; then
    echo "$folder is there already; nothing was changed" >&2
    exit
fi
umask 077
new=$folder.new
rm -rf "$new"
mkdir -p "$new"

postgres=$(openssl rand -hex 24) rabbitmq=$(openssl rand -hex 24)
printf %s "$postgres" >"$new/postgres-password"
printf %s "$(openssl rand -hex 24)" >"$new/erlang-cookie"
printf 'default_user = chandlery\ndefault_pass = %s\n' "$rabbitmq" >"$new/rabbitmq.conf"

one=amqp://chandlery:$rabbitmq@rabbitmq:5672/
three=$one,amqp://chandlery:$rabbitmq@rabbitmq-2:5672/,amqp://chandlery:$rabbitmq@rabbitmq-3:5672/
key=first:$(openssl rand -base64 32)
token=$(openssl rand -hex 32)

settings() { # AMQP-URL
    printf 'database_url = "postgresql://chandlery:%s@postgres:5432/chandlery"\n' "$postgres"
    printf 'amqp_url = "%s"\n' "$1"
    printf 'encryption_keys = "%s"\n' "$key"
}
settings "$one" >"$new/worker.toml"
settings "$three" >"$new/worker.cluster.toml"
{ settings "$one" && printf 'token = "%s"\n' "$token"; } >"$new/gateway.toml"
{ settings "$three" && printf 'token = "%s"\n' "$token"; } >"$new/gateway.cluster.toml"

# The accounts in the containers differ from the one here; nobody else gets into the folder.
chmod 444 "$new"/*
mv "$new" "$folder"
echo "made $folder"
