// An error that is dropped on purpose, by a blank, is flagged as if it had been forgotten.
//
//kata:caught-by TestQuiet
package lintconfig
