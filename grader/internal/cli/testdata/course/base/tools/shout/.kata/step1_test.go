// Raise your voice.
//
//kata:zh 提高嗓门
//kata:level 1
//kata:minutes 15
//kata:engine real operating system
package main_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The input comes back in upper case.
//
//kata:zh 输入以大写返回。
func TestShouts(t *testing.T) {
	cmd := exec.Command(os.Getenv("ROADKATA_PROGRAM"))
	cmd.Stdin = strings.NewReader("psst\n")
	out, err := cmd.Output()
	if err != nil || string(out) != "PSST\n" {
		t.Errorf("shout of psst = %q, %v; want PSST", out, err)
	}
}
