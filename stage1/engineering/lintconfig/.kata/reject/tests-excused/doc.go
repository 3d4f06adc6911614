// All linters are silenced in tests, where two were meant.
//
//kata:caught-by TestTests
package lintconfig
