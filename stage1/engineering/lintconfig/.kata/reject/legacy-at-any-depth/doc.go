// The pattern does not say that the folder is the one at the root.
//
//kata:caught-by TestNarrow
package lintconfig
