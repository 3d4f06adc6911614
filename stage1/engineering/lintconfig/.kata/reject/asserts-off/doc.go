// errorlint is told to look at comparisons only, so a type assertion on an error passes.
//
//kata:caught-by TestBugs
package lintconfig
