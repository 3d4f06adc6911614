// Shout writes its input in upper case.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	var b strings.Builder
	if _, err := io.Copy(&b, os.Stdin); err != nil {
		os.Exit(1)
	}
	fmt.Print(strings.ToUpper(b.String()))
}
