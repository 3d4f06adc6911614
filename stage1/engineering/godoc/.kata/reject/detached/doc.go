// Leaves an empty line between the package comment and the package clause: it is no doc comment any more.
//
//kata:caught-by TestPackageComment TestGoDoc
package godoc
