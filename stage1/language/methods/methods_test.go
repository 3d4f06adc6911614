package methods_test

import (
	"fmt"

	"github.com/roadkata/roadkata/stage1/language/methods"
)

func ExamplePrefixed() {
	mail := &methods.Queue{Title: "mail"}
	eu := methods.Prefix{}.With("api").With("eu")

	n := methods.Prefixed(mail, eu)
	fmt.Println(n.Name(), n.Notify("disk full"), mail.Sent())
	fmt.Println(methods.FlushAll(n), mail.Sent())
	// Output:
	// mail <nil> []
	// <nil> [[api][eu] disk full]
}

func ExampleTeam_Notifiers() {
	team := methods.Team{Pager: &methods.Queue{Title: "pager"}}
	for _, n := range team.Notifiers() {
		fmt.Println(n.Name())
	}
	// Output: pager
}
