// Does not say that a function panics.
//
//kata:caught-by TestPanics
package godoc
