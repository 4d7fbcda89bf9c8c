#!/bin/sh
# Runs once, on an empty server, as its superuser: Kassa's roles and database,
# and pgvector in every database made later.
#
#   kassa          owns the database and migrates it
#   kassa_app      what the service may do; migrations grant it, nobody logs in as it
#   kassa_auditor  what an auditor may read; logins of people are made in it, see docs/audit.md
#   kassa_service  logs in and may do what kassa_app may, and no more
#
# KASSA_PASSWORD_FILE and KASSA_SERVICE_PASSWORD_FILE name files with passwords;
# without the second there is no kassa_service. KASSA_ROLE_OPTIONS gives the owner
# more, such as CREATEDB for tests.
set -eu
export KASSA_ROLE_OPTIONS="${KASSA_ROLE_OPTIONS:-}"
export KASSA_SERVICE_PASSWORD_FILE="${KASSA_SERVICE_PASSWORD_FILE:-}"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\set password `cat "$KASSA_PASSWORD_FILE"`
\getenv options KASSA_ROLE_OPTIONS
create role kassa login :options password :'password';
create role kassa_app nologin;
create role kassa_auditor nologin;
grant kassa_app, kassa_auditor to kassa with admin option;
\set service `cat $KASSA_SERVICE_PASSWORD_FILE </dev/null`
select :'service' <> '' as has_service \gset
\if :has_service
	create role kassa_service login in role kassa_app password :'service';
	-- What the service sets on its sessions, it cannot set through a connection pooler.
	alter role kassa_service set role = kassa_app;
	alter role kassa_service set default_transaction_isolation = 'read committed';
\endif
\connect template1
create extension vector;
create database kassa owner kassa;
SQL
