// Puts everything into the first sentence, which is all that a listing shows, and is cut off there.
//
//kata:caught-by TestGoDoc
package godoc
