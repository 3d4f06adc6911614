// The pattern forbids everything called Now, the team's own clock too.
//
//kata:caught-by TestQuiet
package lintconfig
