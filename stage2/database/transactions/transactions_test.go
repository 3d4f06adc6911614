package transactions_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/roadkata/roadkata/stage2/database/transactions"
)

// Ada pays Bob, and cannot pay what she does not have.
func TestExample(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "bank.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(transactions.Schema + `
		INSERT INTO accounts VALUES ('ada-cash', 'ada', 100), ('bob-cash', 'bob', 0)`)
	if err != nil {
		t.Fatal(err)
	}
	bank := transactions.Bank{DB: db, Policy: transactions.Policy{Attempts: 3}}

	order := transactions.Transfer{Key: "rent-may", From: "ada-cash", To: "bob-cash", Amount: 70}
	for range 2 { // the second time is a repetition, not a second payment
		got, err := bank.Transfer(t.Context(), order)
		if want := (transactions.Receipt{From: 30, To: 70}); err != nil || got != want {
			t.Errorf("Transfer(%+v) = %+v, %v, want %+v", order, got, err, want)
		}
	}
	order.Key = "rent-june"
	if _, err := bank.Transfer(t.Context(), order); !errors.Is(err, transactions.ErrFunds) {
		t.Errorf("Transfer(%+v) with 30 left = %v, want ErrFunds", order, err)
	}
}
