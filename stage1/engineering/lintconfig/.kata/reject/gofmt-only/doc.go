// gofmt sorts imports within a group and leaves the groups alone.
//
//kata:caught-by TestFormatted
package lintconfig
