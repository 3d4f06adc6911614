// Writes DEPRECATED in capitals, which the tools do not know.
//
//kata:caught-by TestDeprecated
package godoc
