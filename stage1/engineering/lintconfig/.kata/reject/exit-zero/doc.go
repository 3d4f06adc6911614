// The exit status was set to 0 "until it is clean": CI has been green ever since.
//
//kata:caught-by TestNothingHidden
package lintconfig
