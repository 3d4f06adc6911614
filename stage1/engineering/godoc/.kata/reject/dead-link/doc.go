// Links to a name that has been renamed.
//
//kata:caught-by TestLinks
package godoc
