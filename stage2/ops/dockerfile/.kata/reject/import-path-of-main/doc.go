// The version is set by the package's import path; to the linker, the package is called main.
//
//kata:caught-by TestVersion
package dockerfile
