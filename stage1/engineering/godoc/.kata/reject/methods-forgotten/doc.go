// Documents functions and types, and forgets the methods.
//
//kata:caught-by TestEveryName
package godoc
