// The clock may ask for the time; so its package is not checked at all.
//
//kata:caught-by TestNarrow
package lintconfig
