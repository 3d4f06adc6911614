// The caps are raised, not lifted: the next sweep hides what lies beyond.
//
//kata:caught-by TestNothingHidden
package lintconfig
