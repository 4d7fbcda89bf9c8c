package schema

// FaultOfSQLite is what FaultOf makes of a result code: the driver alone can make
// its errors.
var FaultOfSQLite = faultOfSQLite

// MigratePostgresTo stops at a version, as an older program does.
var MigratePostgresTo = migratePostgres

// Rights are what AppRole may do with each table.
var Rights = rights
