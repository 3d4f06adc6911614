// nolintlint as it comes only looks for directives that are unused: reasons and names are optional.
//
//kata:caught-by TestNolint
package lintconfig
