// "Go links statically anyway": net and os/user bring in cgo wherever there is a C compiler, and the golang image holds one.
//
//kata:caught-by TestStatic
package dockerfile
