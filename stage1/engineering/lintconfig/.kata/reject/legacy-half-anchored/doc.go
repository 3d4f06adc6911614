// The exception for the frozen folder has a beginning and no end: legacyshop begins like it.
//
//kata:caught-by TestNarrow
package lintconfig
