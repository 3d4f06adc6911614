package cli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestAuthorFlags(t *testing.T) {
	f, _, _ := bench(t, false)
	var got any
	verify := func() *cobra.Command {
		return NewCmdVerify(f, func(o *VerifyOptions) error { got = *o; return nil })
	}
	for _, c := range []struct {
		cmd  *cobra.Command
		args string
		want any
	}{
		{verify(), "", VerifyOptions{Factory: f, Selectors: []string{}, Count: 1, Format: "text"}},
		{verify(), "a --shuffle", VerifyOptions{Factory: f, Selectors: []string{"a"}, Count: 1, Format: "text", Shuffle: "on"}},
		{verify(), "--shuffle=7 --count 20 --no-race -j 2 --topic x",
			VerifyOptions{Factory: f, Selectors: []string{}, Topics: []string{"x"}, Count: 20, Format: "text", Shuffle: "7", NoRace: true, Jobs: 2}},
		{verify(), "--changed-since origin/main --format json --matrix",
			VerifyOptions{Factory: f, Selectors: []string{}, Count: 1, Format: "json", Since: "origin/main", Matrix: true}},
		{NewCmdNew(f, func(o *NewOptions) error { got = *o; return nil }), "a/b/c", NewOptions{f, "a/b/c"}},
		{NewCmdDeps(f, func(o *DepsOptions) error { got = *o; return nil }), "--check", DepsOptions{f, true}},
		{NewCmdWatch(f, func(o *CheckOptions) error { got = *o; return nil }), "a --no-race -j 1 -v",
			CheckOptions{Factory: f, Selectors: []string{"a"}, Format: "terminal", Jobs: 1, NoRace: true, Verbose: true}},
	} {
		got = nil
		c.cmd.SetArgs(strings.Fields(c.args))
		if err := c.cmd.Execute(); err != nil {
			t.Errorf("%s %s: %v", c.cmd.Name(), c.args, err)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s fills %+v, want %+v", c.cmd.Name(), c.args, got, c.want)
		}
	}
}
