// Directives that silence nothing any more may stay, and silence the next bug on their line.
//
//kata:caught-by TestNolint
package lintconfig
