// Tests are told by the word "test", which is also in "latest" and in tests.go.
//
//kata:caught-by TestNarrow
package lintconfig
