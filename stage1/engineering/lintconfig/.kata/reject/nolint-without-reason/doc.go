// errorlint may be silenced without a reason: that was where people had complained.
//
//kata:caught-by TestNolint
package lintconfig
