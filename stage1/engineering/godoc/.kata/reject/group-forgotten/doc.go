// Documents no constants.
//
//kata:caught-by TestEveryName
package godoc
