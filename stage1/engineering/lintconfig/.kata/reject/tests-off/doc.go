// "Tests are not shipped": they are not looked at, and a test that compares wrapped errors proves nothing.
//
//kata:caught-by TestTests
package lintconfig
