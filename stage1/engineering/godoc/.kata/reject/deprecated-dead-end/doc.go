// Calls a function deprecated and does not say what to use.
//
//kata:caught-by TestDeprecated
package godoc
