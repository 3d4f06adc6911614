// Begins the package comment with what it likes: the tools look for "Package godoc".
//
//kata:caught-by TestPackageComment
package godoc
