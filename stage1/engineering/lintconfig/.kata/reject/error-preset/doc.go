// The preset std-error-handling is on, since version 1 had it on: it hides Close, Flush and Remove.
//
//kata:caught-by TestBugs
package lintconfig
