// The intents of greet.
//
//kata:level 2
//kata:minutes 10
//kata:engine simulated polite society
package greet_test

import (
	"testing"

	"example.com/course/base/basics/greet"
)

// Everybody is greeted by name.
//
//kata:zh 用名字问候每个人。
func TestGreets(t *testing.T) {
	if got := greet.Greet("Ada"); got != "Hello, Ada!" {
		t.Errorf("Greet(Ada) = %q, want %q", got, "Hello, Ada!")
	}
}
