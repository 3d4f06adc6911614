// The exception for internal/clock is one for everything that begins like it.
//
//kata:caught-by TestNarrow
package lintconfig
