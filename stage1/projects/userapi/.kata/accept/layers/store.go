package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// current is the user_version of the tables below.
const current = 10

const tables = `
CREATE TABLE members (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE UNIQUE, name TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE logins (mac TEXT PRIMARY KEY, member INTEGER NOT NULL, ends INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE wrong (email TEXT NOT NULL COLLATE NOCASE, at INTEGER NOT NULL);
CREATE INDEX wrong_email ON wrong (email);
CREATE TABLE secret (key BLOB NOT NULL);
INSERT INTO secret VALUES (randomblob(32));
`

var errTaken = errors.New("the e-mail is taken")

// member is a user. Their e-mail is kept as typed, and compared without regard to case.
type member struct {
	id                int64
	email, name, hash string
}

func (m member) json() map[string]any {
	return map[string]any{"id": m.id, "email": strings.ToLower(m.email), "name": m.name}
}

// store is the database side. Several connections read while one writes.
type store struct {
	db  *sql.DB
	key []byte // of the MACs of tokens
}

func openStore(path string) (*store, error) {
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	s := &store{db: db}
	err = s.inTx(upgrade)
	if err == nil {
		err = db.QueryRow(`SELECT key FROM secret`).Scan(&s.key)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

func upgrade(tx *sql.Tx) error {
	var version int
	if err := tx.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	script := tables
	switch version {
	case current:
		return nil
	case 0:
	case 1:
		script += `INSERT INTO members (id, email, name, hash) SELECT id, email, '', password_hash FROM users; DROP TABLE users;`
	default:
		return fmt.Errorf("cannot read a database of version %d", version)
	}
	_, err := tx.Exec(script + fmt.Sprintf(`PRAGMA user_version = %d`, current))
	return err
}

func (s *store) close() error { return s.db.Close() }

func (s *store) inTx(f func(*sql.Tx) error) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s *store) add(m member) (member, error) {
	result, err := s.db.Exec(`INSERT INTO members (email, name, hash) VALUES (?, ?, ?)`, m.email, m.name, m.hash)
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		return m, errTaken
	}
	if err != nil {
		return m, err
	}
	m.id, err = result.LastInsertId()
	return m, err
}

func (s *store) byEmail(email string) (m member, ok bool, err error) {
	err = s.db.QueryRow(`SELECT id, email, name, hash FROM members WHERE email = ?`, email).Scan(&m.id, &m.email, &m.name, &m.hash)
	if errors.Is(err, sql.ErrNoRows) {
		return m, false, nil
	}
	return m, err == nil, err
}

func (s *store) bySession(token string, now time.Time) (m member, ok bool, err error) {
	err = s.db.QueryRow(`SELECT id, email, name FROM members, logins WHERE mac = ? AND ends > ? AND member = id`,
		s.mac(token), now.UnixNano()).Scan(&m.id, &m.email, &m.name)
	if errors.Is(err, sql.ErrNoRows) {
		return m, false, nil
	}
	return m, err == nil, err
}

// lockedUntil is the end of the last lock, which began with the fifth failure. A lock that is over takes its failures along.
func (s *store) lockedUntil(email string, now time.Time) (until time.Time, err error) {
	var n int
	var last sql.NullInt64
	if err := s.db.QueryRow(`SELECT count(*), max(at) FROM wrong WHERE email = ?`, email).Scan(&n, &last); err != nil || n < 5 {
		return time.Time{}, err
	}
	until = time.Unix(last.Int64, 0).Add(15 * time.Minute)
	if !until.After(now) {
		_, err = s.db.Exec(`DELETE FROM wrong WHERE email = ?`, email)
	}
	return until, err
}

func (s *store) noteFailure(email string, now time.Time) error {
	_, err := s.db.Exec(`INSERT INTO wrong VALUES (?, ?)`, email, now.Unix())
	return err
}

func (s *store) newSession(m member, old string, ends time.Time) (token string, err error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	token = base64.RawURLEncoding.EncodeToString(raw)
	return token, s.inTx(func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM logins WHERE mac = ?1; DELETE FROM wrong WHERE email = ?2; INSERT INTO logins VALUES (?3, ?4, ?5)`,
			s.mac(old), m.email, s.mac(token), m.id, ends.UnixNano())
		return err
	})
}

func (s *store) endSession(token string) error {
	_, err := s.db.Exec(`DELETE FROM logins WHERE mac = ?`, s.mac(token))
	return err
}

func (s *store) mac(token string) string {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(token))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
