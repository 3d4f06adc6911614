package transactions

// Schema is what the bank's database looks like, on SQLite and on PostgreSQL.
const Schema = `
CREATE TABLE accounts (
	id      TEXT PRIMARY KEY,
	owner   TEXT NOT NULL,
	balance BIGINT NOT NULL
);
CREATE INDEX accounts_owner ON accounts (owner);
CREATE TABLE transfers (
	key          TEXT PRIMARY KEY,
	source       TEXT NOT NULL,
	destination  TEXT NOT NULL,
	amount       BIGINT NOT NULL,
	source_after BIGINT NOT NULL, -- the two balances, right after the transfer
	dest_after   BIGINT NOT NULL
);`
