// forbidigo matches the text, so an import under another name goes past it.
//
//kata:caught-by TestClock
package lintconfig
