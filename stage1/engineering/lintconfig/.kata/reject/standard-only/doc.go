// The standard linters and those for the house rules: unclosed bodies, wrapped errors and missing cases are nobody's business.
//
//kata:caught-by TestBugs
package lintconfig
