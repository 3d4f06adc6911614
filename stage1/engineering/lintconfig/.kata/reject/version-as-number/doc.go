// The version is written as a number; it runs by luck of a lenient decoder, and the published schema refuses it.
//
//kata:caught-by TestValid
package lintconfig
