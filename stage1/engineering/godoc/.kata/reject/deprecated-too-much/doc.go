// Calls a function deprecated that is not.
//
//kata:caught-by TestDeprecated
package godoc
