// Promises an output that does not come.
//
//kata:caught-by TestOutput
package godoc
