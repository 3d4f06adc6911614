// Begins a comment with "Returns": in a list the reader does not see whose it is.
//
//kata:caught-by TestEveryName
package godoc
