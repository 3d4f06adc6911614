// The linker's flags stand in single quotes: the shell does not expand $VERSION, and that very text becomes the version.
//
//kata:caught-by TestVersion
package dockerfile
