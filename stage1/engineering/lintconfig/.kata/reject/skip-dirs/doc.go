// A key of version 1 is left behind: golangci-lint runs, and nobody reads the key any more.
//
//kata:caught-by TestValid
package lintconfig
