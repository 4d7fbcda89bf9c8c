// Package transparency publishes the ledger's tree as a transparency log in the form that
// others read (C2SP tlog-checkpoint, tlog-tiles, tlog-proof): signed heads, tiles of
// hashes, bundles of entries, and proofs that one entry is in the log.
//
// A head is signed only if its log begins with all entries of the last signed one. The last
// signed head is kept in the database, and also in a file outside of it where one is
// configured: then an old backup of the whole database is noticed too.
package transparency
