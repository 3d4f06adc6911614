// errcheck as it comes does not look at type assertions.
//
//kata:caught-by TestBugs
package lintconfig
