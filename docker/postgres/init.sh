#!/bin/sh
# Runs once, on an empty server, as its superuser: Kassa's role and database,
# and pgvector in every database made later. KASSA_PASSWORD_FILE names the
# file with the role's password; KASSA_ROLE_OPTIONS gives the role more, such as
# CREATEDB for tests.
set -eu
export KASSA_ROLE_OPTIONS="${KASSA_ROLE_OPTIONS:-}"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\set password `cat "$KASSA_PASSWORD_FILE"`
\getenv options KASSA_ROLE_OPTIONS
create role kassa login :options password :'password';
\connect template1
create extension vector;
create database kassa owner kassa;
SQL
