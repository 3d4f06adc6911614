// The exceptions are turned round: only internal/ is looked at, so commands are not.
//
//kata:caught-by TestNarrow
package lintconfig
