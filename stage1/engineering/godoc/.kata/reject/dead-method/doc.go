// Links to a method without its type, which is no link at all.
//
//kata:caught-by TestLinks
package godoc
