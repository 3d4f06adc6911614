// Only one of the two caps is lifted: a linter still stops at fifty.
//
//kata:caught-by TestNothingHidden
package lintconfig
