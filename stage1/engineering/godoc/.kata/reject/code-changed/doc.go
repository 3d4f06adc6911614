// Mends the code as well, in a change that was to be of comments only.
//
//kata:caught-by TestEveryName
package godoc
