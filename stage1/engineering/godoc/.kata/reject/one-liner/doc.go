// Says in the package comment what it is, and not how to begin.
//
//kata:caught-by TestPackageComment
package godoc
