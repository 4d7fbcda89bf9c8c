package schema

// FaultOfSQLite maps a result code as FaultOf does: only the driver can create its
// errors.
var FaultOfSQLite = faultOfSQLite

// MigratePostgresTo migrates up to a version, as an older program does.
var MigratePostgresTo = migratePostgres

// Rights are the rights of AppRole on each table.
var Rights = rights

// AuditorRights are the rights of AuditorRole on each table of the log's schema.
var AuditorRights = auditorRights
