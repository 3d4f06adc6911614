package sqltuning

// Schema is the shop's database. Nobody may change the tables: other programs write to them.
const Schema = `
CREATE TABLE customers (
	id      INTEGER PRIMARY KEY,
	email   TEXT NOT NULL,
	country TEXT NOT NULL
);
CREATE TABLE orders (
	id       INTEGER PRIMARY KEY,
	customer INTEGER NOT NULL,
	status   TEXT NOT NULL,    -- pending, paid, shipped, cancelled
	created  INTEGER NOT NULL, -- Unix seconds; many orders arrive in the same one
	total    INTEGER NOT NULL, -- cents
	note     TEXT NOT NULL
);`

// The queries as they are. They are slow, and their answers are right.
const (
	// SlowByEmail takes an address.
	SlowByEmail = `
		SELECT id, email, country FROM customers
		WHERE lower(email) = lower($1)
		ORDER BY id`

	// SlowPage takes a customer, a limit, and how many orders to leave out.
	SlowPage = `
		SELECT id, customer, status, created, total FROM orders
		WHERE customer = $1
		ORDER BY created DESC, id DESC
		LIMIT $2 OFFSET $3`

	// SlowRevenue takes a day, in UTC: 2026-05-01.
	SlowRevenue = `
		SELECT COUNT(*), COALESCE(SUM(total), 0) FROM orders
		WHERE status = 'paid' AND date(created, 'unixepoch') = $1`

	// SlowQueue takes a limit.
	SlowQueue = `
		SELECT id, customer, status, created, total FROM orders
		WHERE status = 'pending'
		ORDER BY created, id
		LIMIT $1`

	// SlowIdle takes a country and Unix seconds.
	SlowIdle = `
		SELECT id FROM customers
		WHERE country = $1 AND id NOT IN (SELECT customer FROM orders WHERE created >= $2)
		ORDER BY id`
)

// MaxIndexes is how many indexes the shop can afford: each makes every order slower to write.
const MaxIndexes = 4
