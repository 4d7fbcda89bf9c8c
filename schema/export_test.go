package schema

// FaultOfSQLite is what FaultOf makes of a result code: the driver alone can make
// its errors.
var FaultOfSQLite = faultOfSQLite
