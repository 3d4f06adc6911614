// errcheck is taken to see an unclosed body: it sees a Close whose error is lost, not one that is missing.
//
//kata:caught-by TestBugs
package lintconfig
