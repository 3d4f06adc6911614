// "More is safer": all linters are on, and what matters drowns in blank lines and magic numbers.
//
//kata:caught-by TestQuiet
package lintconfig
